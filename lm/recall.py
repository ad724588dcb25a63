"""Bar recall: shows every frame to come the context frame that lies a whole number of bars before it.

    context   |....B....|....B....|        B: same place in the bar
    to come                        |....?
                          ^-- one bar --^

Small models do not find this place by attention in the time they are trained; music that keeps a groove needs it.
Ours, absent from the released models.
"""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from magenta_rt_py.lm.clock import BEATS_PER_BAR, FRAME_RATE_HZ, REFERENCE_BPM


def recall_indices(
    clock: Float[Array, "batch frames features"], context_frames: int
) -> tuple[Int[Array, "batch frames"], Bool[Array, "batch frames"]]:
    """Which context frame each frame to come is shown.

    Args:
      clock: rows of the frames to come; their tempo says how long a bar is, rounded to whole frames.
      context_frames: frames of context before the first of them.
    Returns:
      index into the context, 0 .. context_frames - 1; and whether there is one (the clock is set, the bar fits).
    """
    bar_seconds_at_reference = BEATS_PER_BAR * 60.0 / REFERENCE_BPM
    bar = jnp.round(bar_seconds_at_reference * FRAME_RATE_HZ * 2.0 ** -clock[..., -1])
    bar = jnp.clip(bar, 1.0, 1e6).astype(jnp.int32)
    ahead = jnp.arange(clock.shape[1])
    bars = ahead // bar + 1  # the fewest that lead back into the context
    index = context_frames + ahead - bars * bar
    known = (jnp.abs(clock[..., :-1]).sum(-1) > 0) & (index >= 0)
    return jnp.where(known, index, 0), known


class BarRecall(nn.Module):
    """Linear map from the recalled frame's vector to the temporal input, started at zero.

    No bias: where nothing is recalled, nothing is added.
    """

    dim: int

    @nn.compact
    def __call__(
        self,
        context_rows: Float[Array, "batch context dim"],
        present: Bool[Array, "batch context"],
        clock: Float[Array, "batch frames features"],
    ) -> Float[Array, "batch frames dim"]:
        """What is added to each frame to come; `present` says which context frames hold sound."""
        index, known = recall_indices(clock, context_rows.shape[1])
        recalled = jnp.take_along_axis(context_rows, index[..., None], axis=1)
        known = known & jnp.take_along_axis(present, index, axis=1)
        recalled = jnp.where(known[..., None], recalled, 0.0)
        return nn.Dense(self.dim, use_bias=False, kernel_init=nn.initializers.zeros_init(), name="map")(recalled)
