"""Directions that a finetune found in its music: the mean style of all of it, and five styles it falls into.

A bundle keeps them as its part "steering". Each is a prompt of its own in the weighted mix, spelt with brackets so that it
is not taken for words: "[mean style]", "[style 1]", ...

    mean_style         [dim]            mean over the clips' mean style embeddings
    centroids          [k, dim]         k-means centroids of the clips' means, the largest cluster first; k is 5 or less
    clips_per_centroid [k]              clips in each cluster

Source: the released finetune notebook (mean_style_embed.npy, cluster_centroids.npy), which writes them only when a box is
ticked; here every finetuned bundle has them.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.bundle import Bundle
from magenta_rt_py.errors import BundleError

__all__ = ["PART", "Steering", "as_direction", "is_direction", "read_steering"]

PART = "steering"
"""Name of the bundle's part."""
_DIRECTION = re.compile(r"\[(mean style|style [0-9]+)\]")


class Steering(NamedTuple):
    """See the module's head."""

    mean_style: Float[np.ndarray, " dim"]
    centroids: Float[np.ndarray, "centroids dim"]
    clips_per_centroid: Int[np.ndarray, " centroids"]

    def prompts(self) -> dict[str, Float[np.ndarray, " dim"]]:
        """Name of each slider -> the embedding it weighs: "mean style", "style 1", "style 2", ..."""
        named = {f"style {number}": vector for number, vector in enumerate(self.centroids, 1)}
        return {"mean style": self.mean_style, **named}

    def to_part(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Config and tensors, as `save_bundle` takes a part."""
        return {"clips": int(self.clips_per_centroid.sum())}, dict(self._asdict())


def as_direction(name: str) -> str:
    """The prompt that stands for a direction: its name in brackets."""
    return f"[{name}]"


def is_direction(text: str) -> bool:
    """Whether a prompt is spelt like a direction, of this bundle or another."""
    return _DIRECTION.fullmatch(text) is not None


def read_steering(bundle: Bundle) -> Steering | None:
    """What a finetuned bundle knows of its music; None for one that was not finetuned here.

    Raises:
      BundleError: the part is there but not as it should be.
    """
    if PART not in bundle.configs:
        return None
    tensors: Mapping[str, np.ndarray] = bundle.tensors(PART)
    try:
        found = Steering(**tensors)
        fits = found.mean_style.shape == found.centroids.shape[1:] and len(found.centroids) == len(found.clips_per_centroid)
    except (TypeError, IndexError) as error:
        held = ", ".join(sorted(tensors))
        raise BundleError(f"{bundle.path}: its part 'steering' holds {held}; finetune again") from error
    if not fits:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in tensors.items())
        raise BundleError(f"{bundle.path}: the arrays of its part 'steering' do not fit ({shapes}); finetune again")
    return found
