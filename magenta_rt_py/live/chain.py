"""Chain: when a chained stream asks, and from which unit on. Pure.

    unit         playhead .......... start .................. start + G
    played       x x x x | frozen, known to the request | new payload (beyond the next start: backup)

Every request goes on from the very units that are played before it. So that they cannot change while it is being served,
the units up to its start are frozen when the device takes it: the look-ahead is the time the device has. Nothing is asked
while the device is busy; where there is nothing to play, the request starts right there.

After a jump (a snapshot, a rewind) to another past at a *turning point*, requests before it stop there and the first one
after it starts there.
"""

from __future__ import annotations

from typing import NamedTuple

from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.timeline import Timeline
from magenta_rt_py.live.triggers import Span

__all__ = ["TurningPoint", "span"]


class TurningPoint(NamedTuple):
    """Where the music takes another past."""

    unit: int
    """The first unit after it."""
    first_request: int
    """Number of the first request that may reach beyond it."""
    is_reached: bool = False
    """Whether a request has started there."""


def span(timeline: Timeline, plan: Plan, last_start: int | None, turning: TurningPoint | None = None) -> Span | None:
    """What to ask for now, if the device is free.

    Args:
      timeline: what is known to be played.
      plan: the numbers; its interval counts from start to start.
      last_start: start of the newest request; None if there was none.
      turning: the turning point ahead; None if there is none or a request has started there.
    Returns:
      the units wanted; None while it is too early.
    """
    playhead = timeline.playhead
    usual = max(playhead + plan.look_ahead, timeline.frozen_until)
    if turning is not None and not turning.is_reached:
        end = turning.unit
        gap = timeline.first_gap(playhead, end)
        if gap == end:
            return Span(end, plan.horizon)
        start = min(gap, usual)
        is_due = gap < usual or last_start is None or start - last_start >= plan.interval
        return Span(start, min(plan.horizon, end - start)) if is_due and start < end else None
    gap = timeline.first_gap(playhead, usual)
    if gap < usual:
        return Span(gap, plan.horizon)
    return Span(usual, plan.horizon) if last_start is None or usual - last_start >= plan.interval else None
