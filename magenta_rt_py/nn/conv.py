"""Causal convolution over frames, whole or streamed."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class CausalDepthwiseConv(nn.Module):
    """One filter a feature over the present and the last frames; silence (zeros) before the start.

    Whole is defined as one step from the initial state, so the two cannot differ.

    Attributes:
      features: width of the input and the output.
      kernel_frames: taps; the state keeps the last kernel_frames - 1 frames.
    """

    features: int
    kernel_frames: int = 7

    def setup(self) -> None:
        self.kernel = self.param("kernel", nn.initializers.normal(0.3), (self.kernel_frames, self.features))

    def init_state(self, batch: int) -> Float[Array, "batch past features"]:
        """The frames before the start."""
        return jnp.zeros((batch, self.kernel_frames - 1, self.features))

    def step(
        self,
        state: Float[Array, "batch past features"],
        inputs: Float[Array, "batch frames features"],
        valid_frames: Int[Array, ""] | int | None = None,
    ) -> tuple[Float[Array, "batch past features"], Float[Array, "batch frames features"]]:
        """Filters the next frames.

        Args:
          inputs: any number of frames.
          valid_frames: frames that count, from the first; the rest is padding that must not enter the state. None: all.
        """
        frames = inputs.shape[1]
        padded = jnp.concatenate([state, inputs], axis=1)
        outputs = sum(padded[:, tap : tap + frames] * self.kernel[tap] for tap in range(self.kernel_frames))
        start = frames if valid_frames is None else valid_frames
        return jax.lax.dynamic_slice_in_dim(padded, start, self.kernel_frames - 1, axis=1), outputs

    def __call__(self, inputs: Float[Array, "batch frames features"]) -> Float[Array, "batch frames features"]:
        """Filters a whole sequence."""
        return self.step(self.init_state(inputs.shape[0]), inputs)[1]
