"""Multi-head attention in T5's form: no biases and no division by sqrt(head_dim)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int


class KeyValue(NamedTuple):
    """What attention looks at. Also the cache of a stack that runs one position at a time."""

    key: Float[Array, "batch heads length head_dim"]
    value: Float[Array, "batch heads length head_dim"]


def init_cache(batch: int, heads: int, length: int, head_dim: int, dtype: str = "float32") -> KeyValue:
    """An empty cache for `length` positions."""
    zeros = jnp.zeros((batch, heads, length, head_dim), dtype)
    return KeyValue(zeros, zeros)


def write_cache(cache: KeyValue, new: KeyValue, index: Int[Array, ""]) -> KeyValue:
    """The cache with `new` (one or more positions) written from position `index` on."""
    place = (0, 0, index, 0)
    return KeyValue(
        jax.lax.dynamic_update_slice(cache.key, new.key, place),
        jax.lax.dynamic_update_slice(cache.value, new.value, place),
    )


class Attention(nn.Module):
    """Projects keys and values (`project`), then attends to them (`__call__`).

    The two halves are apart so that one code path serves self-attention, cross-attention and cached steps.

    Attributes:
      num_heads, head_dim: head h owns columns [h * head_dim, (h + 1) * head_dim) of the 2-D kernels.
      features: width of the input and the output.
      dtype: compute dtype, softmax included.
    Source: Raffel et al. 2020 (T5). The missing 1 / sqrt(head_dim) belongs into the query kernel's first values;
      kernels start at zero here, their owner draws them.
    """

    num_heads: int
    head_dim: int
    features: int
    dtype: str = "float32"

    def setup(self) -> None:
        inner = self.num_heads * self.head_dim

        def dense(features: int) -> nn.Dense:
            return nn.Dense(features, use_bias=False, dtype=self.dtype, kernel_init=nn.initializers.zeros_init())

        self.query = dense(inner)
        self.key = dense(inner)
        self.value = dense(inner)
        self.out = dense(self.features)

    def _split(self, x: Float[Array, "batch length inner"]) -> Float[Array, "batch heads length head_dim"]:
        return x.reshape(*x.shape[:2], self.num_heads, self.head_dim).swapaxes(1, 2)

    def project(self, memory: Float[Array, "batch length features"]) -> KeyValue:
        """Keys and values of every position of `memory`."""
        return KeyValue(self._split(self.key(memory)), self._split(self.value(memory)))

    def __call__(
        self,
        x: Float[Array, "batch queries features"],
        memory: KeyValue,
        bias: Float[Array, "heads queries keys"] | None = None,
    ) -> Float[Array, "batch queries features"]:
        """Attends from `x` to `memory`; `bias` (with any mask in it) is added to the logits."""
        query = self._split(self.query(x))
        logits = jnp.einsum("bhqd,bhkd->bhqk", query, memory.key)
        if bias is not None:
            logits = logits + bias.astype(self.dtype)[None]
        weights = jax.nn.softmax(logits, axis=-1)
        mixed = jnp.einsum("bhqk,bhkd->bhqd", weights, memory.value)
        return self.out(mixed.swapaxes(1, 2).reshape(*x.shape[:2], self.num_heads * self.head_dim))
