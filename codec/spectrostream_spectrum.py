"""Samples to SpectroStream's spectrogram and back, by steps.

One STFT frame every hop, two half-overlapping windows to every sample; frame n sees samples 480 n to 480 n + 959.
Channels of the spectrogram: left real, left imaginary, right real, right imaginary. The Nyquist bin is not kept.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from magenta_rt_py.codec.spectrostream_config import SpectroStreamConfig
from magenta_rt_py.codec.spectrostream_layers import Span, with_past


def _window(config: SpectroStreamConfig) -> Float[np.ndarray, "window"]:
    """Periodic Hann."""
    size = config.window_samples
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)).astype(np.float32)


def _inverse_window(config: SpectroStreamConfig) -> Float[np.ndarray, "window"]:
    """What makes analysis and overlap-add together an identity: the window over the sum of the squared windows."""
    window = _window(config).astype(np.float64)
    squares = (window**2).reshape(2, config.hop_samples).sum(0)
    return (window / np.tile(squares, 2)).astype(np.float32)


def analyse(
    config: SpectroStreamConfig, samples: Float[Array, "batch samples channels"]
) -> Float[Array, "batch stft_frames bins parts"]:
    """Spectrogram of every window that lies within the samples: samples / hop - 1 STFT frames.

    Args:
      samples: a whole number of hops, the look-ahead of the last STFT frame included.
    Source: released geometry; no scaling.
    """
    batch, _, channels = samples.shape
    hops = samples.reshape(batch, -1, config.hop_samples, channels)
    windows = jnp.concatenate([hops[:, :-1], hops[:, 1:]], axis=2) * _window(config)[:, None]
    spectrum = jnp.fft.rfft(windows, axis=2)[:, :, : config.bins]
    return jnp.stack([spectrum.real, spectrum.imag], axis=-1).reshape(*spectrum.shape[:3], 2 * channels)


def synthesise(
    config: SpectroStreamConfig,
    tail: Float[Array, "batch 1 hop channels"] | None,
    spectrogram: Float[Array, "batch stft_frames bins parts"],
    span: Span | None = None,
) -> tuple[Float[Array, "batch 1 hop channels"], Float[Array, "batch samples channels"]]:
    """Sound of the next STFT frames by overlap-add, one hop for each.

    Args:
      tail: second half of the last STFT frame's window; None: silence before.
      span: the part of the block that counts; None: all of it.
    Returns:
      the new tail, and the samples; nothing is clipped.
    """
    batch, stft_frames, bins, parts = spectrogram.shape
    values = spectrogram.reshape(batch, stft_frames, bins, parts // 2, 2)
    spectrum = jnp.pad(values[..., 0] + 1j * values[..., 1], ((0, 0), (0, 0), (0, 1), (0, 0)))
    windows = jnp.fft.irfft(spectrum, n=config.window_samples, axis=2) * _inverse_window(config)[:, None]
    starts, ends = jnp.split(windows, 2, axis=2)
    tail, ends = with_past(tail, ends, 1, span)
    return tail, (starts + ends[:, :-1]).reshape(batch, -1, parts // 2)
