"""Small multi-resolution discriminators on complex spectra, for training waveform decoders adversarially.

Source: SoundStream (Zeghidour et al. 2021), section III-C, and EnCodec (Defossez et al. 2022), section 3.4. Ours
differ in size (16 channels, no weight normalisation) and see both stereo channels at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from magenta_rt_py.train.losses import stft


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Sizes of the discriminators, one a window."""

    # Window lengths in samples.
    windows: tuple[int, ...] = (512, 1024, 2048)
    # Channels of every inner layer.
    channels: int = 16
    # Dilation in time of the layers that halve the frequency axis.
    dilations: tuple[int, ...] = (1, 2, 4)


class DiscriminatorOutput(NamedTuple):
    """What the discriminators say, one entry a window.

    Attributes:
      scores: high for real sound, for every place in time and frequency.
      features: inner activations, layer by layer, for feature matching.
    """

    scores: tuple[Float[Array, "batch stft_frames _"], ...]
    features: tuple[tuple[Float[Array, "batch stft_frames _ channels"], ...], ...]


class SpectrumDiscriminator(nn.Module):
    """One resolution: convolutions over the real and imaginary parts of a spectrum."""

    config: DiscriminatorConfig
    window_samples: int

    @nn.compact
    def __call__(
        self, samples: Float[Array, "batch samples audio_channels"]
    ) -> tuple[Float[Array, "batch stft_frames _"], tuple[Float[Array, "batch stft_frames _ channels"], ...]]:
        channels = self.config.channels
        spectrum = jnp.moveaxis(stft(samples, self.window_samples), 1, -1)
        # A full-scale sine reaches about a quarter of the window; compressed, so that quiet bins count.
        spectrum = spectrum / (self.window_samples / 4)
        spectrum = spectrum * (spectrum.real**2 + spectrum.imag**2 + 1e-6) ** -0.25
        x = jnp.concatenate([spectrum.real, spectrum.imag], axis=-1)
        features = []
        x = jax.nn.leaky_relu(nn.Conv(channels, (3, 9), name="conv_in")(x), 0.2)
        features.append(x)
        for index, dilation in enumerate(self.config.dilations):
            layer = nn.Conv(channels, (3, 9), strides=(1, 2), kernel_dilation=(dilation, 1), name=f"conv_{index}")
            x = jax.nn.leaky_relu(layer(x), 0.2)
            features.append(x)
        x = jax.nn.leaky_relu(nn.Conv(channels, (3, 3), name="conv_mix")(x), 0.2)
        features.append(x)
        return nn.Conv(1, (3, 3), name="conv_out")(x)[..., 0], tuple(features)


class MultiResolutionDiscriminator(nn.Module):
    """One `SpectrumDiscriminator` a window length."""

    config: DiscriminatorConfig

    @nn.compact
    def __call__(self, samples: Float[Array, "batch samples audio_channels"]) -> DiscriminatorOutput:
        outputs = [
            SpectrumDiscriminator(self.config, window, name=f"window_{window}")(samples) for window in self.config.windows
        ]
        return DiscriminatorOutput(
            scores=tuple(scores for scores, _ in outputs), features=tuple(features for _, features in outputs)
        )
