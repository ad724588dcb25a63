"""The bidirectional encoder over context and style."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from magenta_rt_py.lm.clock import ClockMap
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.mlp import GatedMLP
from magenta_rt_py.nn.attention import Attention
from magenta_rt_py.nn.norms import RMSNorm
from magenta_rt_py.nn.positions import sinusoid


class EncoderLayer(nn.Module):
    """x += attention(norm(x)); x += mlp(norm(x)). Every position sees every position; no relative bias."""

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        self.pre_attention_layer_norm = RMSNorm(dtype=config.activation_dtype)
        self.attention = Attention(config.num_heads, config.head_dim, config.dim, config.activation_dtype)
        self.pre_mlp_layer_norm = RMSNorm(dtype=config.activation_dtype)
        self.mlp = GatedMLP(config)

    def __call__(self, x: Float[Array, "batch length dim"]) -> Float[Array, "batch length dim"]:
        normed = self.pre_attention_layer_norm(x)
        x = x + self.attention(normed, self.attention.project(normed))
        return x + self.mlp(self.pre_mlp_layer_norm(x))


class Encoder(nn.Module):
    """Reads the embedded context and style; what comes out is what the temporal stack attends to.

    Source: Live Music Models, section 2.4: a T5 v1.1 encoder, with fixed sinusoids in place of a relative bias.
    """

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        layer = nn.remat(EncoderLayer) if config.rematerialise else EncoderLayer
        self.layers = [layer(config) for _ in range(config.encoder_layers)]
        self.encoder_norm = RMSNorm(dtype=config.activation_dtype)
        if config.clock:
            self.clock = ClockMap(config.dim)

    def __call__(
        self,
        embedded: Float[Array, "batch positions dim"],
        context_clock: Float[Array, "batch frames features"] | None = None,
    ) -> Float[Array, "batch positions dim"]:
        """Encodes embedded tokens.

        Args:
          embedded: context positions, then style positions.
          context_clock: clock rows of the context frames; None is unset.
        """
        config = self.config
        x = embedded + jnp.asarray(sinusoid(embedded.shape[1], config.dim))[None]
        if config.clock and context_clock is not None:
            added = jnp.repeat(self.clock(context_clock), config.context_positions_per_frame, axis=1)
            x = x + jnp.pad(added, ((0, 0), (0, x.shape[1] - added.shape[1]), (0, 0)))
        x = x.astype(config.activation_dtype)
        for layer in self.layers:
            x = layer(x)
        return self.encoder_norm(x)
