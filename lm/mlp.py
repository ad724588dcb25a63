"""The gated feed-forward layer that all three stacks share."""

from flax import linen as nn
from jaxtyping import Array, Float

from magenta_rt_py.lm.config import LMConfig


class GatedMLP(nn.Module):
    """gelu(x @ wi_0) * (x @ wi_1) @ wo, without biases; gelu in its tanh form.

    Attributes:
      config: sizes.
    Source: Shazeer 2020, "GLU variants improve Transformer"; T5 v1.1.
    """

    config: LMConfig

    def setup(self) -> None:
        config = self.config

        def dense(features: int) -> nn.Dense:
            zeros = nn.initializers.zeros_init()
            return nn.Dense(features, use_bias=False, dtype=config.activation_dtype, kernel_init=zeros)

        self.wi_0 = dense(config.mlp_dim)
        self.wi_1 = dense(config.mlp_dim)
        self.wo = dense(config.dim)

    def __call__(self, x: Float[Array, "batch length dim"]) -> Float[Array, "batch length dim"]:
        return self.wo(nn.gelu(self.wi_0(x), approximate=True) * self.wi_1(x))
