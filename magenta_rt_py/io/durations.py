"""Durations: how long the driver's calls took, as a histogram that another process may read. Pure but for `note`.

Bins are 4 % wide each, from a microsecond to ten seconds, so that a quantile is right to 4 %.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Int64

__all__ = ["NUM_BINS", "note", "quantile"]

SHORTEST_NS = 1_000
RATIO = 1.04
NUM_BINS = 412
"""log(1e7) / log(1.04), and one for what is shorter."""


def note(counts: Int64[np.ndarray, "bins"], duration_ns: int) -> None:
    """Counts one duration in nanoseconds. What is longer than ten seconds counts as ten seconds."""
    counts[min(_bin(duration_ns), NUM_BINS - 1)] += 1


def quantile(counts: Int64[np.ndarray, "bins"], probability: float) -> float:
    """Seconds that a share `probability` (0 .. 1) of the durations did not exceed, at most 4 % too high; NaN without any."""
    totals = np.cumsum(counts)
    if not totals[-1]:
        return float("nan")
    place = int(np.searchsorted(totals, max(math.ceil(probability * int(totals[-1])), 1)))
    return SHORTEST_NS * RATIO**place / 1e9


def _bin(duration_ns: int) -> int:
    if duration_ns <= SHORTEST_NS:
        return 0
    return 1 + int(math.log(duration_ns / SHORTEST_NS) / math.log(RATIO))
