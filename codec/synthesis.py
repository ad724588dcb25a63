"""Sound from complex spectra: inverse STFT by overlap-add, streamed."""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex64, Float32, Int64

from magenta_rt_py.codec import bands
from magenta_rt_py.codec.config import CompactCodecConfig


class SynthesisState(NamedTuple):
    """Sums of the windows so far that later windows still add to.

    overlap: first sample is the first sample of the next STFT frame's window. stft_frame: index of that STFT frame.
    """

    overlap: Float32[np.ndarray, "batch channels samples"]
    stft_frame: Int64[np.ndarray, ""]


def init_state(config: CompactCodecConfig, batch: int) -> SynthesisState:
    """Silence; the first spectrum to come is that of the STFT frame before the first, as the phase stage gives it."""
    return SynthesisState(np.zeros((batch, config.channels, config.window_samples), np.float32), np.array(-1, np.int64))


@functools.lru_cache(maxsize=8)
def gains(config: CompactCodecConfig) -> tuple[Float32[np.ndarray, "hop"], Float32[np.ndarray, "hop"]]:
    """Least-squares normalization, 1 / sum of squared windows: away from the start, and of the first hop.

    The sum has the period of the hop. In the stream's first hop the windows that begin before STFT frame 0 are missing.
    """
    squares = bands.window(config).astype(np.float64) ** 2
    hop, lead = config.hop_samples, config.lead_samples
    padded = np.pad(squares, (0, -len(squares) % hop))
    steady = padded.reshape(-1, hop).sum(0)
    first = padded[: lead + hop].reshape(-1, hop).sum(0)  # STFT frames 0.. start at -lead, -lead + hop, ...
    return (1.0 / steady).astype(np.float32), (1.0 / first).astype(np.float32)


def step(
    config: CompactCodecConfig, state: SynthesisState, spectra: Complex64[np.ndarray, "batch channels stft_frames bins"]
) -> tuple[SynthesisState, Float32[np.ndarray, "batch samples channels"]]:
    """Adds the next STFT frames and gives the samples that are then complete: one hop for each.

    The hop given for STFT frame j is the one its window starts with, samples [480 j - 1440, 480 j - 960) of the stream.
    Samples before the stream's start come out as zeros.

    Source: Griffin and Lim (1984), equation 6 (least-squares overlap-add); nothing changed.
    """
    batch, channels, frames, _ = spectra.shape
    hop, size = config.hop_samples, config.window_samples
    pieces = np.fft.irfft(spectra, size) * bands.window(config)
    steady, first = gains(config)
    sums = np.concatenate([state.overlap, np.zeros((batch, channels, frames * hop), np.float32)], axis=-1)
    samples = np.empty((batch, channels, frames, hop), np.float32)
    for index in range(frames):
        start = index * hop
        sums[..., start : start + size] += pieces[:, :, index]
        stream_hop = int(state.stft_frame) + index - config.lead_samples // hop
        gain = steady if stream_hop > 0 else first * np.float32(stream_hop == 0)
        samples[:, :, index] = sums[..., start : start + hop] * gain
    rest = np.ascontiguousarray(sums[..., frames * hop :])
    output = samples.reshape(batch, channels, frames * hop).transpose(0, 2, 1)
    return SynthesisState(rest, np.array(int(state.stft_frame) + frames, np.int64)), np.ascontiguousarray(output)
