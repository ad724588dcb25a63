"""Prompts and their weighted mix.

Source: Live Music Models, figure 1: a style is "a weighted average of MusicCoCa embeddings of text and audio prompts".
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """One ingredient of a style: a text or a piece of audio, never both.

    Attributes:
      text: words such as "lofi hip hop".
      audio: mono samples at the style model's rate (16 kHz), full scale 1.0, any length above zero.
      weight: share in the mix, >= 0; only ratios matter, 0 leaves the prompt out.
    """

    text: str | None = None
    audio: np.ndarray | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuses a prompt of neither or both kinds, and a weight that is negative, NaN or infinite."""
        if (self.text is None) == (self.audio is None):
            given = "neither" if self.text is None else "both"
            raise ValueError(f"a prompt is either text or audio, got {given}; make one prompt for each")
        check_weight(self.weight)


def check_weight(weight: float) -> None:
    """Raises ValueError unless the weight is a finite number >= 0."""
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"prompt weight {weight!r} is not usable; expected a finite number of at least 0")


def mix(embeddings: Sequence[Float[np.ndarray, " dim"]], weights: Sequence[float]) -> Float[np.ndarray, " dim"] | None:
    """Weighted mean of embeddings.

    Args:
      embeddings: one vector per prompt, from text or audio, in any number.
      weights: one finite weight >= 0 per embedding; only their ratios matter.

    Returns:
      sum(weight * embedding) / sum(weight), or None when every weight is zero or there is no prompt: play without style
      (the LM's style tokens are masked).

    Raises:
      ValueError: a weight is negative, NaN or infinite, or the two lists differ in length.
    """
    if len(embeddings) != len(weights):
        raise ValueError(f"got {len(embeddings)} embeddings and {len(weights)} weights; give one weight per embedding")
    for weight in weights:
        check_weight(weight)
    # Scaled by the largest weight first, so that neither tiny nor huge weights lose precision.
    largest = max(weights, default=0.0)
    if largest == 0:
        return None
    shares = np.array([weight / largest for weight in weights], np.float64)
    shares /= shares.sum()
    used = [index for index, share in enumerate(shares) if share > 0]
    mixed = sum(shares[index] * np.asarray(embeddings[index], np.float64) for index in used)
    return np.asarray(mixed, np.float32)
