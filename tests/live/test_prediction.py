"""The closed form is the simulation with constant round trips."""

import math

import numpy as np
import pytest

from magenta_rt_py.live import metrics
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.engine import Engine
from magenta_rt_py.live.overload import Overload
from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.prediction import predict
from magenta_rt_py.live.simulator import Placeholders, play_by_arithmetic
from magenta_rt_py.live.worker import SimulatedWorker


def random_plan(rng, overload):
    interval = int(rng.integers(1, 6))
    return Plan(
        unit_seconds=0.1,
        interval=interval,
        look_ahead=int(rng.integers(0, 4)),
        horizon=int(rng.integers(1, 12)),
        context=0,
        overload=overload,
    )


def steady(plan, seconds, period, periods):
    """Indices of units after the start, a whole number of periods."""
    skip = 3 * period + plan.look_ahead + plan.horizon + math.ceil(seconds / plan.unit_seconds)
    outcome = play_by_arithmetic(plan, [seconds] * (skip + periods * period + 2), skip + periods * period)
    return outcome.index[-periods * period :]


@pytest.mark.parametrize("overload", list(Overload))
def test_fast_enough(overload):
    rng = np.random.default_rng(0)
    for _ in range(12):
        plan = random_plan(rng, overload)
        seconds = float(rng.choice([rng.uniform(0, plan.interval), rng.integers(0, plan.interval + 1)])) * 0.1
        index, prediction = steady(plan, seconds, plan.interval, 4), predict(plan, seconds)
        assert metrics.isr(index) == pytest.approx(prediction.isr)
        assert metrics.staleness(index) == pytest.approx(prediction.staleness, nan_ok=True)


def test_too_slow_with_drop():
    rng = np.random.default_rng(1)
    for _ in range(12):
        plan = random_plan(rng, Overload.DROP)
        seconds = float(rng.uniform(plan.interval, 3 * plan.interval)) * 0.1
        period = plan.interval * math.ceil(seconds / 0.1 / plan.interval)
        index, prediction = steady(plan, seconds, period, 3), predict(plan, seconds)
        assert metrics.isr(index) == pytest.approx(prediction.isr)
        assert metrics.staleness(index) == pytest.approx(prediction.staleness, nan_ok=True)


def test_too_slow_with_latest():
    rng = np.random.default_rng(2)
    heard = 0
    for _ in range(12):
        plan = random_plan(rng, Overload.LATEST)
        seconds = float(rng.uniform(plan.interval + 0.05, 3 * plan.interval)) * 0.1
        index, prediction = steady(plan, seconds, 1, 300), predict(plan, seconds)
        assert metrics.isr(index) == pytest.approx(prediction.isr, abs=0.03)
        if prediction.isr > 0.05:
            heard += 1
            assert metrics.staleness(index) == pytest.approx(prediction.staleness, abs=0.2)
    assert heard >= 4


def test_fifo_falls_behind_for_ever():
    plan = Plan(unit_seconds=0.1, interval=2, look_ahead=1, horizon=6, context=0, overload=Overload.FIFO)
    assert predict(plan, 0.21).isr == 0.0
    index = play_by_arithmetic(plan, [0.21] * 400, 600).index
    assert metrics.isr(index[3:60]) == 1.0
    assert metrics.isr(index[-100:]) == 0.0


@pytest.mark.parametrize(("interval", "look_ahead", "seconds"), [(4, 1, 0.25), (3, 4, 0.25), (1, 0, 0.0), (5, 2, 0.5)])
def test_control_delay(interval, look_ahead, seconds):
    plan = Plan(unit_seconds=0.1, interval=interval, look_ahead=look_ahead, horizon=12, context=0)
    clock = VirtualClock()
    engine = Engine(plan, Placeholders(), SimulatedWorker(clock, lambda request: seconds), clock)
    engine.run(20 * interval, on_unit=lambda unit, slot: engine.set_controls(unit))
    delays = engine.trace.control_delays()[5 * interval : 15 * interval] / 0.1
    # Set just after a unit began, a change waits 1 .. I units for the next request: half a unit above the mean.
    assert np.mean(delays) == pytest.approx(predict(plan, seconds).mean_control_delay_units + 0.5)
