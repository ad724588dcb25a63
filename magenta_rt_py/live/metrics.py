"""Metrics: how well a stream was kept alive. Pure functions of what was logged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

GAP = -1
"""Index of a unit that had nothing to play."""
LONGEST_SEQUENCE = 32
"""C: the index at which a unit is worth nothing to ISR_w (RTAS 2026, section V-D)."""


class Summary(NamedTuple):
    """The figures of one run."""

    isr: float
    """Share of units that had something to play, 0 .. 1."""
    staleness: float
    """Mean index of what was played in its request's payload: 0 is always fresh. NaN if nothing was played."""
    isr_w: float
    """ISR with every unit weighted by its freshness."""
    underruns: int
    """Units after the first sound that had nothing to play."""
    gaps: int
    """Runs of such units: how often the music broke off."""
    deadline_misses: int
    """Requests that came back after their first unit was due."""
    num_responses: int
    """Requests that came back."""
    rtf: float
    """Seconds made for each second that the device was busy; NaN if nothing came back."""


def isr(index: Int[np.ndarray, "units"]) -> float:
    """Interaction success rate.

    Args:
      index: of what was played in each unit, in its request's payload; -1 for a gap.
    Returns:
      the share of units that had something; NaN for no units.
    Source: Real-Time Language Model Jamming (RTAS 2026), section V-D. As there, a unit with a rest in it has something.
    """
    return float(np.mean(index != GAP)) if len(index) else math.nan


def staleness(index: Int[np.ndarray, "units"]) -> float:
    """Mean index over the units that had something; NaN if none had. Source: as `isr`."""
    played = index[index != GAP]
    return float(np.mean(played)) if len(played) else math.nan


def isr_w(index: Int[np.ndarray, "units"], *, longest: int = LONGEST_SEQUENCE) -> float:
    """Interaction success rate weighted by freshness, (C - index) / C. Source: as `isr`, with C = 32."""
    weights = np.where(index != GAP, (longest - index) / longest, 0.0)
    return float(np.mean(weights)) if len(index) else math.nan


def missed(index: Int[np.ndarray, "units"]) -> Bool[np.ndarray, "units"]:
    """Which units were underruns: gaps after the first sound. The silence before it is the start, not a failure."""
    has_begun = np.maximum.accumulate(index != GAP) if len(index) else np.zeros(0, bool)
    return has_begun & (index == GAP)


def count_runs(flags: Bool[np.ndarray, "units"]) -> int:
    """How many unbroken runs of True there are."""
    return int(np.sum(flags[1:] & ~flags[:-1]) + np.sum(flags[:1]))


def rtf(made_seconds: float, busy_seconds: float) -> float:
    """Real-time factor: seconds made / seconds spent; above 1 is live. NaN if no time was spent."""
    return made_seconds / busy_seconds if busy_seconds > 0 else math.nan


def control_delays(
    changed_seconds: Sequence[float], played_sequence: Int[np.ndarray, "units"], unit_seconds: float
) -> Float[np.ndarray, "changes"]:
    """Time from each change of the controls to the first unit that was made with it, or with a later one.

    Args:
      changed_seconds: when controls 1, 2, 3, ... were set (0 are those at the start).
      played_sequence: number of the controls that each unit was made with; -1 for a gap.
      unit_seconds: length of a unit.
    Returns:
      seconds; NaN for changes that were never heard.
    """
    reached = np.maximum.accumulate(played_sequence) if len(played_sequence) else np.zeros(0, int)
    first = np.searchsorted(reached, np.arange(1, len(changed_seconds) + 1))
    delays = first * unit_seconds - np.asarray(changed_seconds, float)
    return np.where(first < len(reached), delays, math.nan)
