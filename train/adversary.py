"""A discriminator beside a decoder in training: what it tells the decoder, and how it learns itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from magenta_rt_py.train import codec_loop, losses
from magenta_rt_py.train.discriminator import DiscriminatorConfig, DiscriminatorOutput, MultiResolutionDiscriminator


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdversarialConfig(codec_loop.CodecRunConfig):
    """What a training on sound is told besides.

    The weights are ours and first guesses; SoundStream and EnCodec weigh the terms alike, relative to their
    reconstruction losses.
    """

    spectra: losses.SpectralLossConfig = dataclasses.field(default_factory=losses.SpectralLossConfig)
    mel_weight: float = 1.0
    complex_weight: float = 1.0  # of the compressed complex spectra, the one loss that hears phase
    discriminator: DiscriminatorConfig = dataclasses.field(default_factory=DiscriminatorConfig)
    adversarial_from_step: int = 20_000  # before it the discriminator is neither trained nor asked
    adversarial_weight: float = 0.1
    matching_weight: float = 2.0  # of the discriminator's inner features
    discriminator_rate: float = 0.33  # its learning rate over the codec's


def spectral_losses(
    training: AdversarialConfig,
    decoded: Float[Array, "batch samples channels"],
    target: Float[Array, "batch samples channels"],
) -> tuple[Array, dict[str, Array]]:
    """Weighted sum of the distances of spectra, and each of them; one of weight 0 is not computed."""
    parts = {}
    if training.mel_weight:
        parts["mel"] = losses.multi_scale_mel_loss(decoded, target, training.spectra)
    if training.complex_weight:
        parts["complex"] = losses.multi_scale_complex_loss(decoded, target, training.spectra)
    weights = {"mel": training.mel_weight, "complex": training.complex_weight}
    return sum((weights[name] * part for name, part in parts.items()), jnp.zeros(())), parts


class Adversary:
    """The discriminators of a training.

    Source: SoundStream (Zeghidour et al. 2021) section III-D; hinge losses and feature matching.
    """

    def __init__(self, training: AdversarialConfig) -> None:
        self._training = training
        self._net = MultiResolutionDiscriminator(training.discriminator)

    def init(self, seed: int, *, samples: int, channels: int) -> dict:
        """Parameters before the first step."""
        return jax.jit(self._net.init)(jax.random.key(seed), jnp.zeros((1, samples, channels)))["params"]

    def verdict(
        self, params: dict, decoded: Float[Array, "batch samples channels"], target: Float[Array, "batch samples channels"]
    ) -> tuple[Array, dict[str, Array]]:
        """What the decoder is told: weighted sum of its adversarial and matching loss, and each of them."""
        real, fake = (self._judge(params, sound) for sound in (target, decoded))
        parts = {
            "adversarial": losses.generator_loss(fake.scores),
            "matching": losses.feature_matching_loss(real.features, fake.features),
        }
        total = self._training.adversarial_weight * parts["adversarial"]
        return total + self._training.matching_weight * parts["matching"], parts

    def learn(
        self,
        state: Any,
        decoded: Float[Array, "batch samples channels"],
        target: Float[Array, "batch samples channels"],
        learning_rate: Array,
    ) -> tuple[Any, dict[str, Array]]:
        """One step of `state.discriminator` (and `discriminator_optimizer`); numbers to log.

        learning_rate: of the decoder; the discriminators' is `discriminator_rate` times it.
        """

        def loss(params: dict) -> Array:
            return losses.discriminator_loss(self._judge(params, target).scores, self._judge(params, decoded).scores)

        value, grads = jax.value_and_grad(loss)(state.discriminator)
        updates, optimizer_state = codec_loop.adam().update(grads, state.discriminator_optimizer, state.discriminator)
        rate = self._training.discriminator_rate * learning_rate
        params = jax.tree.map(lambda p, u: p + rate * u, state.discriminator, updates)
        return state._replace(discriminator=params, discriminator_optimizer=optimizer_state), {"discriminator": value}

    def _judge(self, params: dict, samples: Array) -> DiscriminatorOutput:
        return self._net.apply({"params": params}, samples)  # pyright: ignore[reportReturnType]
