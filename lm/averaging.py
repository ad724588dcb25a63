"""Averaging: how the finer levels of a frame are chosen where drawing them would be noise. Pure.

    level 0          drawn: what is played
    levels 1, 2, 3   the code whose vector is nearest to the mean vector of what the model expects

A small model knows the coarsest level well and the finer ones hardly. Codes drawn for them then scatter around the sound
that is meant: frames come out louder than any that the model has heard, and the scatter from frame to frame covers the
beat. The nearest code to the mean has the least expected squared error of all. Likelier codes alone (a lower temperature)
are no help: they are the loud ones.

Source: ours; minimum Bayes risk decoding under squared error, with the residual quantizer's own vectors. What it did
for the starter: docs/benchmarks.md, training the starter.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from magenta_rt_py.lm.config import LMConfig


class AveragedLevels(NamedTuple):
    """Code vectors of the levels that are averaged, the finest of a frame; or of one of them."""

    vectors: Float[Array, "*levels codes dim"]
    squared_lengths: Float[Array, "*levels codes"]

    def at(self, index: int | Int[Array, ""]) -> "AveragedLevels":
        """One level; they are counted from 0."""
        return AveragedLevels(self.vectors[index], self.squared_lengths[index])


def averaged_levels(code_vectors: Float[np.ndarray, "codec_levels codes dim"], config: LMConfig) -> AveragedLevels | None:
    """What `nearest_to_mean` needs of the codec; None if the model draws all levels.

    Raises:
      ValueError: the codec has fewer levels than the model.
    """
    if not config.averaged_levels:
        return None
    if len(code_vectors) < config.num_levels:
        raise ValueError(f"got code vectors of {len(code_vectors)} levels, expected the {config.num_levels} of the model")
    vectors = jnp.asarray(code_vectors[config.drawn_levels : config.num_levels], jnp.float32)
    return AveragedLevels(vectors, (vectors**2).sum(-1))


def nearest_to_mean(logits: Float[Array, "codes"], level: AveragedLevels) -> Int[Array, ""]:
    """The code nearest to the mean vector under the softmax of `logits`, both of one level."""
    mean = jax.nn.softmax(logits) @ level.vectors
    # Squared distance to every code, without the mean's own length.
    distances = level.squared_lengths - 2.0 * (level.vectors @ mean)
    return jnp.argmin(distances).astype(jnp.int32)
