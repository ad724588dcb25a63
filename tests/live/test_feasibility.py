"""What the planner promises is what happens."""

import math

import numpy as np
import pytest

from magenta_rt_py.live import metrics
from magenta_rt_py.live.feasibility import best, check, search
from magenta_rt_py.live.latency import LatencyModel
from magenta_rt_py.live.overload import Overload
from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.simulator import play_by_arithmetic, simulate

PLAN = Plan(unit_seconds=0.1, interval=1, look_ahead=1, horizon=1, context=0)


def constant(seconds):
    return LatencyModel(constant=seconds)


def has_gaps(plan, seconds, num_units=80):
    """Whether anything is missing once the start is over."""
    index = play_by_arithmetic(plan, [seconds] * num_units, num_units).index
    return bool(np.any(index[num_units // 2 :] == metrics.GAP))


@pytest.mark.parametrize("overload", list(Overload))
def test_feasible_means_no_gap_and_infeasible_continuity_means_gaps(overload):
    rng = np.random.default_rng(4)
    seen = set()
    for _ in range(25):
        plan = Plan(
            unit_seconds=0.1,
            interval=int(rng.integers(1, 6)),
            look_ahead=int(rng.integers(0, 5)),
            horizon=int(rng.integers(1, 14)),
            context=0,
            overload=overload,
        )
        seconds = float(rng.uniform(0.0, plan.interval)) * 0.1
        verdict = check(plan, constant(seconds))
        assert verdict.throughput
        assert has_gaps(plan, seconds) == (not verdict.continuity)
        assert (verdict.prediction.isr == 1.0) == verdict.continuity
        seen.add(verdict.feasible)
    assert seen == {True, False}


@pytest.mark.parametrize("overload", [Overload.LATEST, Overload.DROP])
def test_a_slow_device_may_still_play_without_gaps(overload):
    """Without C1, continuity in its other form is enough; for drop it is needed, too."""
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(25):
        plan = Plan(
            unit_seconds=0.1,
            interval=int(rng.integers(1, 5)),
            look_ahead=int(rng.integers(0, 4)),
            horizon=int(rng.integers(6, 30)),
            context=0,
            overload=overload,
        )
        seconds = float(rng.uniform(1.01, 2.5)) * plan.interval * 0.1
        verdict = check(plan, constant(seconds))
        assert not verdict.throughput and not verdict.feasible
        gaps = has_gaps(plan, seconds)
        if verdict.continuity:
            assert not gaps
        elif overload is Overload.DROP:
            assert gaps
        seen.add(verdict.continuity)
    assert seen == {True, False}


def test_the_papers_constraints():
    """C1 and C2 of section IV-D are ours with a look-ahead of one unit less."""
    for interval in range(1, 9):
        for horizon in range(1, 17):
            for units in (1, 2, 3):
                plan = Plan(
                    unit_seconds=0.125,
                    interval=interval,
                    look_ahead=0,
                    horizon=horizon,
                    context=0,
                    overload=Overload.FIFO,
                )
                verdict = check(plan, constant(0.125 * units))
                assert verdict.throughput == (units <= interval)
                assert verdict.continuity == (horizon >= interval + units)
                if verdict.feasible:
                    assert horizon >= 2 * units  # the corollary


@pytest.mark.parametrize(("interval", "look_ahead", "horizon", "reserve"), [(4, 2, 7, 3), (5, 5, 5, 3), (3, 0, 6, 1)])
def test_reserve_is_how_much_later_a_request_may_be(interval, look_ahead, horizon, reserve):
    plan = Plan(unit_seconds=0.1, interval=interval, look_ahead=look_ahead, horizon=horizon, context=0)
    verdict = check(plan, constant(0.2))
    assert (verdict.round_trip_units, verdict.reserve_units) == (2, reserve)
    # One request late by the reserve is no gap, by one unit more it is.
    for late, gaps in ((reserve, False), (reserve + 1, True)):
        times = [0.2] * 5 + [0.2 + 0.1 * late] + [0.2] * 30
        assert bool(np.any(metrics.missed(play_by_arithmetic(plan, times, 60).index))) == gaps


def test_a_payload_shorter_than_its_interval_is_never_enough():
    verdict = check(Plan(unit_seconds=0.1, interval=5, look_ahead=9, horizon=3, context=0), constant(0.1))
    assert verdict.throughput and not verdict.continuity
    assert verdict.reserve_units == -2


def test_search_covers_the_space_and_best_is_heard_soonest():
    model = LatencyModel(linear=0.02, constant=0.05, sigma=0.01)
    verdicts = search(PLAN, model, intervals=range(1, 6), horizons=range(1, 11))
    assert [(verdict.plan.interval, verdict.plan.horizon) for verdict in verdicts] == [
        (interval, horizon) for interval in range(1, 6) for horizon in range(1, 11)
    ]
    chosen = best(verdicts)
    feasible = [verdict for verdict in verdicts if verdict.feasible]
    delays = [verdict.prediction.mean_control_delay_units for verdict in feasible]
    assert chosen.prediction.mean_control_delay_units == min(delays)
    assert chosen.reserve_units == max(v.reserve_units for v, delay in zip(feasible, delays) if delay == min(delays))
    assert best(verdicts, reserve_units=chosen.reserve_units + 1) != chosen
    assert simulate(chosen.plan, model, num_units=200, num_streams=2).isr > 0.97
    assert best(search(PLAN, constant(9.0), intervals=range(1, 4), horizons=range(1, 5))) is None


def test_the_percentile_decides():
    model = LatencyModel(constant=0.15, tail_scale=0.05, tail_shape=1.5)
    plan = Plan(unit_seconds=0.1, interval=3, look_ahead=1, horizon=5, context=0)
    assert check(plan, model, percentile=0.5).feasible
    assert not check(plan, model, percentile=0.995).feasible
    assert math.isclose(check(plan, model, percentile=0.5).prediction.isr, 1.0)
