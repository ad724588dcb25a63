"""Tap: the tempo and the beat of a person's taps.

    taps      |    |    |         |    |       a missed tap is no slow beat, a bounce of the pad is no beat
    index     0    1    2         4    5       tempo and phase: the straight line through (index, time)

Streamed: `step(state, tap) -> (state, estimate)`, tap by tap. Pure; times are stream samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["TapEstimate", "TapState", "init_state", "step"]

SAMPLES_A_SECOND = 48_000
SLOWEST_BPM, FASTEST_BPM = 40.0, 300.0
"""Taps outside this range are no tempo: a longer wait begins anew, a shorter one is a bounce."""
REMEMBERED_TAPS = 8
"""More taps are steadier, fewer follow sooner."""
LONGEST_MISS_BEATS = 3
"""Beats between two taps that still belong together."""
CHANGED = 0.15
"""Two intervals in a row that differ from the beat by this part of it, and less from each other, are a new tempo."""


class TapEstimate(NamedTuple):
    """What the taps say."""

    bpm: float
    """Beats a minute."""
    beat_sample: float
    """Stream sample of the beat nearest to the last tap."""
    jitter_seconds: float
    """Root mean square distance of the taps from the beat; 0 for two taps, which always fit."""
    taps: int
    """How many taps were used."""


class TapState(NamedTuple):
    """The taps that count."""

    times: tuple[int, ...] = ()
    """Stream samples, rising."""


def init_state() -> TapState:
    """No taps."""
    return TapState()


def step(state: TapState, sample: int) -> tuple[TapState, TapEstimate | None]:
    """Takes one tap.

    Args:
      state: the taps before.
      sample: stream sample of the tap.
    Returns:
      the next state, and the estimate; None as long as there is one tap.
    Raises:
      ValueError: the tap is earlier than the last one.
    """
    times = state.times
    if times and sample < times[-1]:
        raise ValueError(f"a tap at sample {sample}, after one at {times[-1]}; taps must come in order")
    if times and sample - times[-1] < _beat_samples(FASTEST_BPM):
        return state, _estimate(times)
    if times and sample - times[-1] > _longest_wait(times):
        times = ()
    times = _after_a_change((*times, sample))[-REMEMBERED_TAPS:]
    return TapState(times), _estimate(times)


def _beat_samples(bpm: float) -> float:
    return 60.0 / bpm * SAMPLES_A_SECOND


def _longest_wait(times: tuple[int, ...]) -> float:
    """Samples after which a tap belongs to another count: a few missed beats, or one slow beat."""
    slowest = _beat_samples(SLOWEST_BPM)
    if len(times) < 2:
        return slowest
    return max(slowest, (LONGEST_MISS_BEATS + 0.5) * float(np.median(np.diff(times))))


def _after_a_change(times: tuple[int, ...]) -> tuple[int, ...]:
    """Only the last taps, if they agree with each other and not with those before."""
    if len(times) < 5:
        return times
    intervals = np.diff(times)
    beat, (earlier, later) = float(np.median(intervals[:-2])), intervals[-2:]
    differs = all(abs(interval / beat - max(1, round(interval / beat))) > CHANGED for interval in (earlier, later))
    return times[-3:] if differs and abs(later / earlier - 1.0) < CHANGED else times


def _estimate(times: tuple[int, ...]) -> TapEstimate | None:
    """The straight line through the taps, each at its number of beats after the first."""
    if len(times) < 2:
        return None
    taps = np.asarray(times, np.float64)
    intervals = np.diff(taps)
    beat = float(np.median(intervals))
    index = np.concatenate([[0.0], np.cumsum(np.maximum(1.0, np.round(intervals / beat)))])
    period, start = _line(index, taps)
    if len(times) > 3:  # one tap far off must not turn the line
        near = np.abs(taps - start - period * index) <= 0.2 * period
        if 2 < near.sum() < len(taps):
            index, taps = index[near], taps[near]
            period, start = _line(index, taps)
    distance = taps - start - period * index
    nearest = round((times[-1] - start) / period)
    jitter_seconds = float(np.sqrt(np.mean(distance**2))) / SAMPLES_A_SECOND
    return TapEstimate(60.0 * SAMPLES_A_SECOND / period, start + period * nearest, jitter_seconds, len(taps))


def _line(index: Float[np.ndarray, "taps"], taps: Float[np.ndarray, "taps"]) -> tuple[float, float]:
    """Slope and start of the least squares line."""
    centred = index - index.mean()
    slope = float(centred @ (taps - taps.mean()) / (centred @ centred))
    return slope, float(taps.mean() - slope * index.mean())
