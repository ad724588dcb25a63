"""Band energies of a short-time Fourier transform, four STFT frames to a codec frame.

Alignment of codec frame t (numbers are samples, relative to 1920 * t):

    STFT frame 4t    [-1440 ........................ 608)
    STFT frame 4t+1       [-960 ......................... 1088)
    STFT frame 4t+2            [-480 .......................... 1568)
    STFT frame 4t+3                 [0 ............................... 2048)
    codec frame                     [0 .......................... 1920)

An attack on a frame boundary therefore begins in the first STFT frames of its own codec frame, the encoder looks
128 samples past a frame's end, and the decoder can finish a frame's sound as soon as the next frame's codes are there.
"""

import functools
from typing import no_type_check

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float16, Float32, Int

from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.nn.compiled import compiled

_STORED_FLOOR = 1e-6  # floor of the stored log energies: below energy_floor, so that a gain can be applied afterwards
_BLOCK_STFT_FRAMES = 256  # STFT frames transformed at once: the spectra stay in the cache


@functools.lru_cache(maxsize=8)
def band_edges(config: CompactCodecConfig) -> Int[np.ndarray, "bands"]:
    """First FFT bin of every band; the last band reaches to Nyquist."""
    bin_hz = config.sample_rate / config.window_samples
    edges = list(range(int(config.linear_bands_to_hz / bin_hz)))
    edge_hz = config.linear_bands_to_hz
    while edge_hz < config.highest_band_hz:
        edges.append(int(edge_hz / bin_hz))
        edge_hz *= 2 ** (1 / config.bands_per_octave)
    return np.array(sorted(set(edges)), np.int64)


def band_count(config: CompactCodecConfig) -> int:
    """Bands of one channel in one STFT frame (324 for the starter)."""
    return len(band_edges(config))


def feature_dim(config: CompactCodecConfig) -> int:
    """Numbers that describe one codec frame: STFT frames x (mid, side) x bands."""
    return config.stft_frames_per_frame * config.channels * band_count(config)


@functools.lru_cache(maxsize=8)
def band_widths(config: CompactCodecConfig) -> Int[np.ndarray, "bands"]:
    """FFT bins in every band."""
    return np.diff(np.append(band_edges(config), config.bins))


@functools.lru_cache(maxsize=8)
def band_of_bin(config: CompactCodecConfig) -> Int[np.ndarray, "bins"]:
    """The band every FFT bin belongs to."""
    return np.repeat(np.arange(band_count(config)), band_widths(config))


@functools.lru_cache(maxsize=8)
def band_matrix(config: CompactCodecConfig) -> Float32[np.ndarray, "bands bins"]:
    """1 where a bin belongs to a band, else 0."""
    return (np.arange(band_count(config))[:, None] == band_of_bin(config)[None]).astype(np.float32)


@functools.lru_cache(maxsize=8)
def band_weights(config: CompactCodecConfig) -> Float32[np.ndarray, "bands"]:
    """How much a band counts: half the same for all, half its width on the mel scale; mean 1."""
    bin_hz = config.sample_rate / config.window_samples
    width_hz = band_widths(config) * bin_hz
    centre_hz = (band_edges(config) + (band_widths(config) - 1) / 2) * bin_hz
    mel_width = width_hz / (700.0 + centre_hz)
    weights = 0.5 + 0.5 * mel_width / mel_width.mean()
    return (weights / weights.mean()).astype(np.float32)


@functools.lru_cache(maxsize=8)
def window(config: CompactCodecConfig) -> Float32[np.ndarray, "window"]:
    """Periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.window_samples) / config.window_samples)).astype(np.float32)


@compiled
@no_type_check
def _mean_power(spectra, edges, energies):
    """Mean |spectrum|^2 over the bins of every band."""
    bands = len(edges) - 1
    for row in range(spectra.shape[0]):
        for band in range(bands):
            total = np.float32(0.0)
            for b in range(edges[band], edges[band + 1]):
                real = spectra[row, b].real
                imaginary = spectra[row, b].imag
                total += real * real + imaginary * imaginary
            energies[row, band] = total / np.float32(edges[band + 1] - edges[band])


def windowed_energies(
    config: CompactCodecConfig, samples: Float32[np.ndarray, "batch samples channels"], frames: int
) -> Float32[np.ndarray, "batch frames stft_frames channels bands"]:
    """Band energies of `frames` codec frames whose first STFT window starts at samples[:, 0].

    Args:
      samples: 1440 samples before the first frame, the frames, and 128 samples after the last.
    """
    batch, hops = samples.shape[0], frames * config.stft_frames_per_frame
    bands = band_count(config)
    edges = np.append(band_edges(config), config.bins)
    energies = np.empty((batch, hops, config.channels, bands), np.float32)
    for item in range(batch):
        for channel in range(config.channels):
            windows = np.lib.stride_tricks.sliding_window_view(
                np.ascontiguousarray(samples[item, :, channel]), config.window_samples
            )
            for start in range(0, hops, _BLOCK_STFT_FRAMES):
                stop = min(start + _BLOCK_STFT_FRAMES, hops)
                rows = windows[
                    start * config.hop_samples : (stop - 1) * config.hop_samples + 1 : config.hop_samples
                ] * window(config)
                _mean_power(np.fft.rfft(rows), edges, energies[item, start:stop, channel])
    return energies.reshape(batch, frames, config.stft_frames_per_frame, config.channels, bands)


def band_energies(
    config: CompactCodecConfig, samples: Float[np.ndarray, "batch samples channels"]
) -> Float32[np.ndarray, "batch frames stft_frames channels bands"]:
    """Mean spectral energy in every band, of a whole recording.

    Args:
      samples: amplitude -1..1; silence is assumed before and after.
    Returns:
      ceil(samples / 1920) codec frames; channel order left, right.
    """
    frames = -(-samples.shape[1] // config.frame_samples)
    after = frames * config.frame_samples + config.lookahead_samples - samples.shape[1]
    padded = np.pad(samples.astype(np.float32), ((0, 0), (config.lead_samples, after), (0, 0)))
    return windowed_energies(config, padded, frames)


def stored_features(
    energies: Float32[np.ndarray, "*batch frames stft_frames channels bands"],
) -> Float16[np.ndarray, "*batch frames stft_frames channels bands"]:
    """Band energies in the form kept for training: natural log of the magnitude, half precision."""
    return (0.5 * np.log(energies + _STORED_FLOOR)).astype(np.float16)


def energies_of_stored(
    features: Float[Array, "*batch frames stft_frames channels bands"],
) -> Float[Array, "*batch frames stft_frames channels bands"]:
    """The inverse of `stored_features`, in float32."""
    return jnp.maximum(jnp.exp(2.0 * features.astype(jnp.float32)) - _STORED_FLOOR, 1e-9)


def features_of_energies(
    config: CompactCodecConfig, energies: Float[Array, "*batch frames stft_frames channels bands"]
) -> Float[Array, "*batch frames features"]:
    """Mid and side of the log magnitudes, one flat vector a codec frame: what the nets read and write."""
    logs = 0.5 * jnp.log(energies + config.energy_floor)
    left, right = logs[..., 0, :], logs[..., 1, :]
    pair = jnp.stack([0.5 * (left + right), 0.5 * (left - right)], axis=-2)
    return pair.reshape(*pair.shape[:-3], -1)


def logs_of_features(
    config: CompactCodecConfig, features: Float[Array, "*batch frames features"]
) -> Float[Array, "*batch frames stft_frames channels bands"]:
    """Log magnitudes of left and right from mid and side: the inverse of `features_of_energies` up to the logarithm."""
    pair = features.reshape(*features.shape[:-1], config.stft_frames_per_frame, config.channels, band_count(config))
    mid, side = pair[..., 0, :], pair[..., 1, :]
    return jnp.stack([mid + side, mid - side], axis=-2)
