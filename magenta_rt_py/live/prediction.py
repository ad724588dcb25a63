"""Prediction: what a plan will do if every request takes the same time. Closed form, pure."""

from __future__ import annotations

import math
from typing import NamedTuple

from magenta_rt_py.live.overload import Overload
from magenta_rt_py.live.plan import Plan

_ROUNDING = 1e-9


class Prediction(NamedTuple):
    """The steady state of a periodic plan; the start is left out."""

    late_units: int
    """Delta: units of every payload that are over before it arrives."""
    isr: float
    """Share of units that have something to play."""
    staleness: float
    """Mean index of what is played; NaN if nothing is."""
    mean_control_delay_units: float
    """From a change of the controls, at any time, to the first unit made with it; infinity if it is never heard."""


def predict(plan: Plan, round_trip_seconds: float) -> Prediction:
    """Steady state with a constant round trip.

    With R units of round trip, late = max(0, ceil(R) - a) units of each payload are lost, G - late can be heard, and
    they have to last I units. If the device is too slow (R > I), it serves fewer requests: with `drop` every ceil(R / I)-th,
    with `latest` one every R, asked up to I before; with `fifo` it falls behind for ever and nothing is heard in the end.

    Source: derived here; equal to a simulation with constant round trips (tests/live/test_prediction.py), and for R <= I
    to sections IV-D and V-D of Real-Time Language Model Jamming (RTAS 2026).
    """
    round_trip = round_trip_seconds / plan.unit_seconds
    if round_trip <= plan.interval + _ROUNDING:
        return _regular(plan, round_trip, plan.interval)
    if plan.overload is Overload.FIFO:
        return Prediction(plan.horizon, 0.0, math.nan, math.inf)
    if plan.overload is Overload.DROP:
        return _regular(plan, round_trip, plan.interval * math.ceil(round_trip / plan.interval - _ROUNDING))
    return _latest(plan, round_trip)


def _regular(plan: Plan, round_trip: float, interval: int) -> Prediction:
    """A request every `interval` units, each served at once."""
    late = max(0, math.ceil(round_trip - _ROUNDING) - plan.look_ahead)
    heard = max(0, min(interval, plan.horizon - late))
    delay = 0.5 * interval + late + plan.look_ahead
    return Prediction(
        late_units=min(late, plan.horizon),
        isr=heard / interval,
        staleness=late + 0.5 * (heard - 1) if heard else math.nan,
        mean_control_delay_units=delay if heard else math.inf,
    )


def _latest(plan: Plan, round_trip: float) -> Prediction:
    """The device is never idle: served requests are followed until the pattern of their ages repeats often enough."""
    taken, asked, arrived, rows = 0.0, 0, 0, []
    for _ in range(400):
        done = taken + round_trip
        arrived = math.ceil(done - _ROUNDING)
        rows.append((taken, asked, arrived))
        newest = math.floor(done / plan.interval + _ROUNDING) * plan.interval
        asked = newest if newest > asked else asked + plan.interval
        taken = max(done, float(asked))
    first, last = rows[len(rows) // 4][2], rows[-1][2]
    heard, indices, delay = 0, 0.0, 0.0
    for (taken, asked, arrived), following in zip(rows[len(rows) // 4 :], rows[len(rows) // 4 + 1 :]):
        start = max(arrived, asked + plan.look_ahead)
        end = min(max(following[2], following[1] + plan.look_ahead), asked + plan.look_ahead + plan.horizon)
        count = max(0, end - start)
        heard += count
        indices += count * (start - asked - plan.look_ahead) + 0.5 * count * (count - 1)
        gap = following[0] - taken
        next_start = max(following[2], following[1] + plan.look_ahead)
        delay += gap * (next_start - 0.5 * (taken + following[0]))
    late = math.ceil(round_trip - _ROUNDING) - plan.look_ahead
    return Prediction(
        late_units=min(max(late, 0), plan.horizon),
        isr=min(1.0, heard / (last - first)),
        staleness=indices / heard if heard else math.nan,
        mean_control_delay_units=delay / (rows[-1][0] - rows[len(rows) // 4][0]) if heard else math.inf,
    )
