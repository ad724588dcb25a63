"""Feasibility: which plans can keep a stream alive on a device, and which of them to take. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from magenta_rt_py.live.latency import LatencyModel
from magenta_rt_py.live.overload import Overload
from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.prediction import Prediction, predict

PERCENTILE = 0.95
"""Share of requests that must be in time. Source: Real-Time Language Model Jamming (RTAS 2026), section IV-D."""
_ROUNDING = 1e-9


class Verdict(NamedTuple):
    """What a plan is worth on a device."""

    plan: Plan
    round_trip_units: int
    """Units until a request is back, at the percentile, rounded up: answers are read at unit boundaries."""
    throughput: bool
    """C1: a request is done before the next is asked."""
    continuity: bool
    """C2: a payload lasts until the next one is there."""
    reserve_units: int
    """Units by which a request may be later still before there is a gap; below 0 there is one."""
    prediction: Prediction
    """The steady state with every round trip at the percentile."""

    @property
    def feasible(self) -> bool:
        """Both constraints hold. Without C1, `latest` and `drop` may still play without gaps, from fewer requests."""
        return self.throughput and self.continuity


def check(plan: Plan, model: LatencyModel, *, percentile: float = PERCENTILE) -> Verdict:
    """Checks a periodic plan against a latency model.

        C1  RTT <= I                  throughput
        C2  a + G >= I + ceil(RTT)    continuity

    A device that is too slow for C1 may still do with `drop`, as if I were the next multiple of I above RTT; with
    `latest`, a + G >= I + 2 ceil(RTT) is enough. C2 is checked in that form then.

    Args:
      plan: the numbers.
      model: of the device; its G is the plan's horizon.
      percentile: share of requests that must be in time, 0 .. 1.
    Source: Real-Time Language Model Jamming (RTAS 2026), section IV-D, where C2 is G >= I + ceil(RTT), one unit stricter
    (a = 1); the forms without C1 are ours, tested against the simulation.
    """
    seconds = model.quantile(plan.horizon, percentile)
    units = seconds / plan.unit_seconds
    whole = math.ceil(units - _ROUNDING)
    throughput = units <= plan.interval + _ROUNDING
    needed = plan.interval + whole
    if not throughput and plan.overload is Overload.DROP:
        needed = plan.interval * math.ceil(units / plan.interval - _ROUNDING) + whole
    elif not throughput and plan.overload is Overload.LATEST:
        needed = plan.interval + 2 * whole
    reserve = plan.look_ahead + plan.horizon - needed
    if plan.horizon < needed - whole:  # being there early does not help: it is too short for its interval
        reserve = min(reserve, plan.horizon - (needed - whole))
    return Verdict(plan, whole, throughput, reserve >= 0, reserve, predict(plan, seconds))


def search(
    plan: Plan,
    model: LatencyModel,
    *,
    intervals: Iterable[int],
    horizons: Iterable[int],
    percentile: float = PERCENTILE,
) -> list[Verdict]:
    """Checks every pair of interval and horizon.

    Args:
      plan: gives all the other numbers.
      model: of the device.
      intervals: I to try.
      horizons: G to try.
      percentile: as in `check`.
    Returns:
      a verdict for each pair, in the order given: the solution space.
    """
    lengths = list(horizons)
    return [
        check(dataclasses.replace(plan, interval=interval, horizon=horizon), model, percentile=percentile)
        for interval in intervals
        for horizon in lengths
    ]


def best(verdicts: Sequence[Verdict], *, reserve_units: int = 0) -> Verdict | None:
    """The feasible plan that is heard soonest after a change; ties go to the larger reserve, then the shorter request.

    Args:
      verdicts: from `search`.
      reserve_units: reserve that it must have at least.
    Returns:
      None if no plan is feasible.
    """
    fit = [verdict for verdict in verdicts if verdict.feasible and verdict.reserve_units >= reserve_units]
    return min(
        fit,
        key=lambda verdict: (
            verdict.prediction.mean_control_delay_units,
            -verdict.reserve_units,
            verdict.plan.horizon,
        ),
        default=None,
    )
