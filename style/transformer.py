"""The pre-norm Transformer pieces both towers and the caption decoder are made of."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

LAYER_NORM_EPSILON = 1e-6  # read from published ports of the released towers


def attend(
    query: Float[Array, "batch queries heads size"],
    key: Float[Array, "batch keys heads size"],
    value: Float[Array, "batch keys heads size"],
    mask: Bool[Array, "#batch #queries keys"] | None,
    soft_cap: float,
) -> Float[Array, "batch queries heads*size"]:
    """Scaled dot-product attention; `mask` is True where a key may be seen, `soft_cap` 0 is off."""
    logits = jnp.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
    if soft_cap:
        logits = soft_cap * jnp.tanh(logits / soft_cap)
    if mask is not None:
        logits = jnp.where(mask[:, None], logits, -1e10)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits, axis=-1), value)
    return mixed.reshape(*mixed.shape[:2], -1)


class SelfAttention(nn.Module):
    """Multi-head self-attention with one joint projection for query, key and value."""

    heads: int
    soft_cap: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch tokens width"], mask: Bool[Array, "#batch #tokens tokens"] | None
    ) -> Float[Array, "batch tokens width"]:
        width = x.shape[-1]
        joint = nn.Dense(3 * width, name="query_key_value")(x)
        query, key, value = (
            part.reshape(*x.shape[:2], self.heads, width // self.heads) for part in jnp.split(joint, 3, axis=-1)
        )
        return nn.Dense(width, name="out")(attend(query, key, value, mask, self.soft_cap))


class CrossAttention(nn.Module):
    """Multi-head attention from `x` to `memory`; inner and output widths may differ from the input's."""

    heads: int
    head_dim: int
    features: int
    soft_cap: float = 0.0

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch queries width"],
        memory: Float[Array, "batch keys memory_width"],
        mask: Bool[Array, "#batch #queries keys"] | None,
    ) -> Float[Array, "batch queries features"]:
        inner = self.heads * self.head_dim
        query = nn.Dense(inner, name="query")(x).reshape(*x.shape[:2], self.heads, self.head_dim)
        joint = nn.Dense(2 * inner, name="key_value")(memory)
        key, value = (part.reshape(*memory.shape[:2], self.heads, self.head_dim) for part in jnp.split(joint, 2, axis=-1))
        return nn.Dense(self.features, name="out")(attend(query, key, value, mask, self.soft_cap))


class FeedForward(nn.Module):
    """Two dense layers around an exact (erf) GELU."""

    factor: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        hidden = jax.nn.gelu(nn.Dense(self.factor * x.shape[-1], name="wi")(x), approximate=False)
        return nn.Dense(x.shape[-1], name="wo")(hidden)


class Block(nn.Module):
    """Pre-norm self-attention and feed-forward, each added to the residual stream."""

    heads: int
    ffn_factor: int
    soft_cap: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch tokens width"], mask: Bool[Array, "#batch #tokens tokens"] | None = None
    ) -> Float[Array, "batch tokens width"]:
        normed = layer_norm("attention_norm")(x)
        x = x + SelfAttention(self.heads, self.soft_cap, name="attention")(normed, mask)
        return x + FeedForward(self.ffn_factor, name="ffn")(layer_norm("ffn_norm")(x))


class AttentionPooler(nn.Module):
    """Reduces a sequence to one vector: attention from a single learned query, then a layer norm.

    Source: Live Music Models, section 2.2 ("attention pooling"); norm after pooling as in published ports.
    """

    heads: int
    head_dim: int
    features: int
    soft_cap: float = 0.0

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "batch tokens width"], mask: Bool[Array, "batch tokens"] | None = None
    ) -> Float[Array, "batch features"]:
        width = tokens.shape[-1]
        query = self.param("query", nn.initializers.normal(0.02), (1, 1, width))
        query = jnp.broadcast_to(query, (tokens.shape[0], 1, width))
        key_mask = None if mask is None else mask[:, None, :]
        attention = CrossAttention(self.heads, self.head_dim, self.features, self.soft_cap, name="attention")
        return layer_norm("norm")(attention(query, tokens, key_mask)[:, 0])


def layer_norm(name: str | None = None) -> nn.LayerNorm:
    """A layer norm with the released towers' epsilon."""
    return nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, name=name)
