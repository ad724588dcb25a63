"""The audio tower's front end: pre-emphasis, STFT, mel bands, logarithm; plain NumPy.

Source: Live Music Models, section 2.2 (992 x 128 log-mel of 10 s at 16 kHz); frame sizes as in published ports.
"""

import functools

import numpy as np
from jaxtyping import Float

from magenta_rt_py.style.config import StyleConfig

_BLOCK_FRAMES = 2048  # STFT frames worked on at once: bounds memory and stays in cache


@functools.lru_cache(maxsize=8)
def mel_matrix(config: StyleConfig) -> Float[np.ndarray, "bins bands"]:
    """Triangular HTK mel filters over the FFT bins 1 .. fft_samples/2 (the DC bin is dropped)."""
    bins_hz = np.arange(1, config.fft_samples // 2 + 1) * config.sample_rate_hz / config.fft_samples
    low, high = (_hz_to_mel(hz) for hz in (config.mel_low_hz, config.mel_high_hz))
    edges = np.linspace(low, high, config.mel_bands + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    mels = _hz_to_mel(bins_hz)[:, None]
    # Triangles are straight lines on the mel axis, as in HTK.
    rising = (mels - left) / (centre - left)
    falling = (right - mels) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def _hz_to_mel(hz):
    return 1127.0 * np.log1p(np.asarray(hz, dtype=np.float64) / 700.0)


@functools.lru_cache(maxsize=8)
def _window(samples: int) -> Float[np.ndarray, " samples"]:
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(samples) / samples)).astype(np.float32)


def _log_mel_of_one(samples: np.ndarray, config: StyleConfig) -> np.ndarray:
    """All whole STFT frames of one signal: [samples] -> [frames, bands]."""
    emphasised = samples.astype(np.float32, copy=True)
    emphasised[1:] -= np.float32(config.pre_emphasis) * samples[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, config.window_samples)[:: config.hop_samples]
    result = np.empty((len(frames), config.mel_bands), np.float32)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = frames[start : start + _BLOCK_FRAMES] * _window(config.window_samples)
        spectrum = np.fft.rfft(block, config.fft_samples, axis=-1)[:, 1:]
        power = spectrum.real**2 + spectrum.imag**2
        result[start : start + _BLOCK_FRAMES] = power.astype(np.float32, copy=False) @ mel_matrix(config)
    return np.log(result + np.float32(config.log_floor))


def log_mel(samples: Float[np.ndarray, "batch samples"], config: StyleConfig) -> Float[np.ndarray, "batch frames bands"]:
    """Log-mel spectrogram of mono 16 kHz clips.

    Args:
      samples: one row per clip, full scale 1.0; shorter than a clip is zero-padded, longer is cut to one clip.
      config: the front end's sizes.

    Returns:
      float32 [batch, config.stft_frames, config.mel_bands]; silence is log(config.log_floor).
    """
    clip = np.zeros((len(samples), config.clip_samples), np.float32)
    length = min(samples.shape[1], config.clip_samples)
    clip[:, :length] = samples[:, :length]
    return np.stack([_log_mel_of_one(row, config)[: config.stft_frames] for row in clip])


def window_log_mels(
    samples: Float[np.ndarray, " samples"], config: StyleConfig, window_hop_seconds: float = 2.0
) -> Float[np.ndarray, "windows frames bands"]:
    """Log-mels of the overlapping clips of a longer piece, computed in one pass over its frames.

    Window w starts at w * window_hop_seconds; there are ceil(length / window_hop_seconds) of them. With pad_mode "zero"
    a window past the end is filled with silence. With "loop" it is moved back so that it ends with the piece (a piece
    shorter than a clip is repeated), because a nearly silent clip says little about style.

    Args:
      samples: mono 16 kHz audio, at least one sample.
      config: the front end's sizes.
      window_hop_seconds: distance of window starts; must be a whole number of STFT hops.
    """
    hop_samples = round(window_hop_seconds * config.sample_rate_hz)
    if hop_samples <= 0 or hop_samples % config.hop_samples:
        raise ValueError(
            f"window_hop_seconds {window_hop_seconds} is not a positive multiple of "
            f"{config.hop_samples / config.sample_rate_hz} s (one STFT hop)"
        )
    if len(samples) == 0:
        raise ValueError("the audio has no samples; expected at least one")
    count = -(-len(samples) // hop_samples)
    starts = np.arange(count) * (hop_samples // config.hop_samples)
    if config.pad_mode == "loop":
        if len(samples) < config.clip_samples:
            samples = np.resize(samples, config.clip_samples)
        last = (len(samples) - config.clip_samples) // config.hop_samples
        starts = np.minimum(starts, last)
    needed = int(starts[-1]) * config.hop_samples + config.clip_samples
    padded = np.zeros(max(needed, len(samples)), np.float32)
    padded[: len(samples)] = samples
    frames = _log_mel_of_one(padded, config)
    return np.stack([frames[start : start + config.stft_frames] for start in starts])
