"""Losses for waveform codecs: spectral distances at several resolutions, commitment, adversarial terms.

All audio here is 48 kHz, [batch, samples, channels]. A stereo signal is compared as left, right, mid and side,
so that errors of width are heard too.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float


@dataclass(frozen=True, kw_only=True)
class SpectralLossConfig:
    """Resolutions at which two signals are compared."""

    # Samples a second.
    sample_rate_hz: int = 48_000
    # Window lengths in samples; each hops by a quarter of itself.
    windows: tuple[int, ...] = (512, 1024, 2048, 4096)
    # Mel bands of each window: few enough that none is empty.
    mel_bands: tuple[int, ...] = (32, 64, 96, 128)
    # Added to mel magnitudes before the logarithm (full scale sine in one bin: about 0.25 * window).
    floor: float = 1e-3
    # Exponent of magnitudes in the complex loss; below 1 quiet parts count more.
    compression: float = 0.5

    def __post_init__(self) -> None:
        if len(self.windows) != len(self.mel_bands):
            raise ValueError(
                f"{len(self.windows)} windows but {len(self.mel_bands)} numbers of mel bands; give one for each"
            )


def stft(
    samples: Float[Array, "batch samples channels"], window_samples: int
) -> Complex[Array, "batch channels stft_frames bins"]:
    """Hann-windowed spectrum, hop of a quarter window, zero-padded by half a window at both ends."""
    hop = window_samples // 4
    padded = jnp.pad(samples, ((0, 0), (window_samples // 2, window_samples // 2), (0, 0)))
    count = 1 + (padded.shape[1] - window_samples) // hop
    index = np.arange(count)[:, None] * hop + np.arange(window_samples)
    frames = jnp.moveaxis(padded, -1, 1)[..., index]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window_samples) / window_samples)
    return jnp.fft.rfft(frames * window.astype(np.float32))


@functools.cache
def mel_matrix(sample_rate_hz: int, window_samples: int, bands: int) -> Float[np.ndarray, "bins bands"]:
    """Triangular filters on the mel scale 2595 log10(1 + f / 700) from 0 Hz to Nyquist, each of sum 1."""
    nyquist = sample_rate_hz / 2
    edges_mel = np.linspace(0.0, 2595.0 * np.log10(1.0 + nyquist / 700.0), bands + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    frequency = np.linspace(0.0, nyquist, window_samples // 2 + 1)[:, None]
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    # A low band may fall between two bins: it then takes the nearest one.
    empty = np.flatnonzero(filters.sum(0) == 0)
    filters[np.abs(frequency - edges[1:-1][empty]).argmin(0), empty] = 1.0
    return (filters / filters.sum(0)).astype(np.float32)


def multi_scale_mel_loss(
    prediction: Float[Array, "batch samples channels"],
    target: Float[Array, "batch samples channels"],
    config: SpectralLossConfig = SpectralLossConfig(),
) -> Float[Array, ""]:
    """Mean absolute difference of log mel magnitudes (natural log), averaged over the windows."""
    prediction, target = with_mid_side(prediction), with_mid_side(target)
    total = jnp.zeros(())
    for window, bands in zip(config.windows, config.mel_bands, strict=True):
        filters = mel_matrix(config.sample_rate_hz, window, bands)
        ours, theirs = (
            jnp.log(_magnitude(stft(samples, window)) @ filters + config.floor) for samples in (prediction, target)
        )
        total = total + jnp.abs(ours - theirs).mean()
    return total / len(config.windows)


def multi_scale_complex_loss(
    prediction: Float[Array, "batch samples channels"],
    target: Float[Array, "batch samples channels"],
    config: SpectralLossConfig = SpectralLossConfig(),
) -> Float[Array, ""]:
    """Mean absolute difference of compressed complex spectra |X|^c e^{i phase}: the one loss here that hears phase."""
    prediction, target = with_mid_side(prediction), with_mid_side(target)
    total = jnp.zeros(())
    for window in config.windows:
        ours, theirs = (_compressed(stft(samples, window), config.compression) for samples in (prediction, target))
        difference = ours - theirs
        total = total + (jnp.abs(difference.real) + jnp.abs(difference.imag)).mean()
    return total / len(config.windows)


def with_mid_side(
    samples: Float[Array, "batch samples channels"],
) -> Float[Array, "batch samples more_channels"]:
    """Stereo gains the channels mid and side (each (L +- R) / 2); mono stays as it is."""
    if samples.shape[-1] != 2:
        return samples
    left, right = samples[..., :1], samples[..., 1:]
    return jnp.concatenate([samples, (left + right) / 2, (left - right) / 2], axis=-1)


def commitment_loss(latents: Float[Array, "*batch dim"], quantized: Float[Array, "*batch dim"]) -> Float[Array, ""]:
    """Mean squared distance that pulls the latents (only them) to their codes."""
    return ((latents - jax.lax.stop_gradient(quantized)) ** 2).mean()


def discriminator_loss(real: Sequence[Float[Array, "..."]], fake: Sequence[Float[Array, "..."]]) -> Float[Array, ""]:
    """Hinge loss of the discriminators: scores above 1 for real sound, below -1 for decoded sound.

    Source: SoundStream (Zeghidour et al. 2021), section III-D.
    """
    terms = [
        jax.nn.relu(1.0 - ours).mean() + jax.nn.relu(1.0 + theirs).mean() for ours, theirs in zip(real, fake, strict=True)
    ]
    return sum(terms, jnp.zeros(())) / len(terms)


def generator_loss(fake: Sequence[Float[Array, "..."]]) -> Float[Array, ""]:
    """Hinge loss of the decoder: its sound shall score above 1."""
    terms = [jax.nn.relu(1.0 - scores).mean() for scores in fake]
    return sum(terms, jnp.zeros(())) / len(terms)


def feature_matching_loss(
    real: Sequence[Sequence[Float[Array, "..."]]], fake: Sequence[Sequence[Float[Array, "..."]]]
) -> Float[Array, ""]:
    """Mean absolute difference of the discriminators' inner features, relative to the size of the real ones.

    No gradient reaches the real side.
    """
    terms = [
        jnp.abs(jax.lax.stop_gradient(ours) - theirs).mean() / (jnp.abs(jax.lax.stop_gradient(ours)).mean() + 1e-6)
        for layers, other_layers in zip(real, fake, strict=True)
        for ours, theirs in zip(layers, other_layers, strict=True)
    ]
    return sum(terms, jnp.zeros(())) / len(terms)


def _magnitude(spectrum: Complex[Array, "..."]) -> Float[Array, "..."]:
    # The small number keeps the gradient finite in silence.
    return jnp.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-12)


def _compressed(spectrum: Complex[Array, "..."], exponent: float) -> Complex[Array, "..."]:
    return spectrum * (spectrum.real**2 + spectrum.imag**2 + 1e-8) ** ((exponent - 1.0) / 2.0)
