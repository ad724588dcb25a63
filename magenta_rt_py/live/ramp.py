"""Ramp: a gain that moves to its target by small equal steps, so that turning a knob never clicks.

Exact: a stream cut into pieces gets the same gains to the last bit, because gains and steps are binary fractions.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

__all__ = ["FULL_SWING_SAMPLES", "step"]

FULL_SWING_SAMPLES = 1024
"""Samples from gain 0 to gain 1: 21 ms."""
_GRAIN = 2.0**20  # gains are whole multiples of 1 / _GRAIN, so that sums of them are exact


def step(gain: float, target: float, samples: int) -> tuple[float, Float[np.ndarray, "samples"]]:
    """Gains of the next samples, and the gain after them; `step(state, x) -> (state, y)` with the gain as state.

    Args:
      gain: the gain now: what the last call returned, or any gain to begin with.
      target: where it is to go, 0 or more.
      samples: how many are wanted, 0 or more.
    Returns:
      the gain at the last of them (`gain` if there are none), and the gain of each sample (float64).
    Raises:
      ValueError: the target is negative, NaN or infinite.
    """
    if not 0.0 <= target < float("inf"):
        raise ValueError(f"gain is {target!r}; give a finite number, 0 or more")
    gain, target = round(gain * _GRAIN) / _GRAIN, round(target * _GRAIN) / _GRAIN
    if gain == target:  # nearly always, and a tenth of a performance's work
        return gain, np.full(samples, gain)
    reach = np.arange(1, samples + 1) / FULL_SWING_SAMPLES
    gains = gain + np.clip(target - gain, -reach, reach)
    return (float(gains[-1]) if samples else gain), gains
