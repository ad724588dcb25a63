"""Where in a sequence something is: the fixed sinusoid and T5's learned relative bias."""

import math

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Int

MASKED_LOGIT = -1e10
"""Added to the attention logit of a key that must not be seen (released configuration)."""


def sinusoid(length: int, dim: int) -> Float[np.ndarray, "length dim"]:
    """Fixed position table: the first half of the features are sines, the second half cosines.

    Args:
      length: number of positions, counted from 0.
      dim: even number of features, at least 4.
    Raises:
      ValueError: if dim is odd or below 4.
    Source: the released encoder; wavelengths run from 2 pi to 2 pi * 10000, both ends included (hence half - 1).
    """
    if dim % 2 or dim < 4:
        raise ValueError(f"got dim {dim}, expected an even number of at least 4: sines and cosines share it equally")
    half = dim // 2
    frequency = np.exp(-np.arange(half) * (math.log(10000.0) / (half - 1)))
    angle = np.arange(length)[:, None] * frequency[None, :]
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1).astype(np.float32)


def causal_buckets(distance: Int[np.ndarray, "*shape"], num_buckets: int, max_distance: int) -> Int[np.ndarray, "*shape"]:
    """Bucket of each distance back in time: one bucket a step for the near half, logarithmic for the far half.

    Args:
      distance: steps from the query back to the key; negative (a key in the future) counts as 0.
      num_buckets: buckets in all.
      max_distance: distance from which everything shares the last bucket.
    Source: Raffel et al. 2020 (T5), section 2.1, unidirectional form. With 128 buckets up to 128 (temporal, at most
      50 frames) and 16 up to 16 (depth, at most 16 levels) every distance in use has a bucket of its own.
    """
    distance = np.maximum(distance, 0)
    half = num_buckets // 2
    near_one = np.maximum(distance, half).astype(np.float32) / np.float32(half) + np.finfo(np.float32).eps
    far = half + (np.log(near_one) / math.log(max_distance / half) * (num_buckets - half)).astype(np.int32)
    return np.where(distance < half, distance, np.minimum(far, num_buckets - 1)).astype(np.int32)


class CausalRelativeBias(nn.Module):
    """Learned bias on attention logits by distance back in time, with the causal mask already in it.

    One table serves every layer of a stack.

    Attributes:
      num_heads: attention heads.
      num_buckets, max_distance: see `causal_buckets`.
    """

    num_heads: int
    num_buckets: int
    max_distance: int

    @nn.compact
    def __call__(self, length: int) -> Float[Array, "heads length length"]:
        """Bias for queries (second axis) on keys (last axis); keys after their query get MASKED_LOGIT."""
        table = self.param("rel_embedding", nn.initializers.zeros_init(), (self.num_heads, self.num_buckets))
        steps = np.arange(length)
        distance = steps[:, None] - steps[None, :]
        bias = table[:, causal_buckets(distance, self.num_buckets, self.max_distance)]
        return jnp.where(distance >= 0, bias, MASKED_LOGIT)
