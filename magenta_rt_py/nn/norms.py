"""Root-mean-square normalisation, as T5 v1.1 has it."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float


class RMSNorm(nn.Module):
    """Divides by the root mean square over features and multiplies by a learned scale (no +1, no bias).

    Statistics are taken in float32 whatever the compute dtype; the result is cast before the scale is applied,
    which is what the released model does and is visible in bfloat16.

    Attributes:
      epsilon: added to the mean square.
      dtype: compute dtype of the result.
    Source: Raffel et al. 2020 (T5), v1.1 layer norm; epsilon as in the released configuration.
    """

    epsilon: float = 1e-6
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
        scale = self.param("scale", nn.initializers.ones_init(), (x.shape[-1],))
        x = x.astype(jnp.float32)
        mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        normed = (x * jax.lax.rsqrt(mean_square + self.epsilon)).astype(self.dtype)
        return normed * scale.astype(self.dtype)
