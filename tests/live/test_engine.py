"""The loop, on a virtual clock."""

import dataclasses

import numpy as np
import pytest

from magenta_rt_py.live.clock import VirtualClock, WallClock
from magenta_rt_py.live.engine import Engine
from magenta_rt_py.live.merge import Amend
from magenta_rt_py.live.overload import Overload
from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.triggers import OnEvent, OnTurn
from magenta_rt_py.live.turns import Role, TurnSchedule
from magenta_rt_py.live.worker import SimulatedWorker, ThreadWorker

PLAN = Plan(unit_seconds=0.125, interval=2, look_ahead=1, horizon=6, context=4)


class Recorder:
    """Makes (request, unit) and keeps the requests."""

    def __init__(self):
        self.requests = []

    def generate(self, request):
        self.requests.append(request)
        return [(request.number, request.start + place) for place in range(request.length)]


class Chain:
    """A Markov chain over what was played: the next value depends on the last one in the history, seed and place."""

    def generate(self, request):
        known = [value for value in request.history if value is not None]
        value, made = known[-1] if known else 0, []
        for unit in range(request.start, request.start + request.length):
            value = int(np.random.default_rng([request.seed, unit, value]).integers(1000))
            made.append(value)
        return made


def make(plan=PLAN, generator=None, latency=0.0, **options):
    clock = VirtualClock(5.0)
    of = latency if callable(latency) else lambda request: latency
    generator = generator or Recorder()
    return Engine(plan, generator, SimulatedWorker(clock, of), clock, **options), generator, clock


def played(engine, num_units):
    out = []
    engine.run(num_units, on_unit=lambda unit, slot: out.append((unit, slot)))
    return out


def test_every_unit_is_played_once_and_at_its_time():
    rng = np.random.default_rng(0)
    engine, _, clock = make(latency=lambda request: float(rng.pareto(1.2) * 0.1))
    times = []
    engine.run(100, on_unit=lambda unit, slot: times.append((unit, clock.now_seconds())))
    assert [unit for unit, _ in times] == list(range(100))
    np.testing.assert_allclose([at for _, at in times], 5.0 + 0.125 * np.arange(100), atol=1e-8)
    assert engine.trace.num_units == 100


def test_a_request_reads_what_was_played_and_nothing_else():
    engine, generator, _ = make(latency=0.3)
    out = dict(played(engine, 40))
    for request in generator.requests:
        before = range(request.asked_at - 4, request.asked_at)
        expected = tuple(out[unit].payload if unit >= 0 and out[unit] else None for unit in before)
        assert request.history == expected
        assert (request.start, request.length) == (request.asked_at + 1, 6)


def test_online_equals_offline_when_nothing_takes_time():
    """Chained requests, each as long as its interval, on a device without latency: the same as one long request."""
    plan = Plan(unit_seconds=0.04, interval=5, look_ahead=0, horizon=5, context=3)
    engine, _, _ = make(plan, Chain(), seed=11)
    online = [slot.payload for _, slot in played(engine, 50)]
    value, offline = 0, []
    for unit in range(50):
        value = int(np.random.default_rng([11, unit, value]).integers(1000))
        offline.append(value)
    assert online == offline
    other, _, _ = make(plan, Chain(), seed=12)
    assert [slot.payload for _, slot in played(other, 50)] != offline


class LoggingWorker(SimulatedWorker):
    """Keeps its responses."""

    def __init__(self, clock, latency):
        super().__init__(clock, latency)
        self.responses = []

    def wait(self, until_seconds):
        response = super().wait(until_seconds)
        if response:
            self.responses.append(response)
        return response


@pytest.mark.parametrize("overload", list(Overload))
def test_what_is_played_is_the_newest_that_has_arrived(overload):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        plan = dataclasses.replace(PLAN, overload=overload, interval=int(rng.integers(1, 4)))
        clock = VirtualClock()
        worker = LoggingWorker(clock, lambda request, rng=rng: float(rng.exponential(0.3)))
        engine = Engine(plan, Recorder(), worker, clock)
        for unit, slot in played(engine, 80):
            there = [
                response.request.number
                for response in worker.responses
                if response.done_seconds <= unit * 0.125 + 1e-9
                and response.request.start <= unit < response.request.start + 6
            ]
            assert (slot.request if slot else None) == (max(there) if there else None)


def test_one_request_at_a_time_and_policies_differ_in_what_they_serve():
    served = {}
    for overload in Overload:
        engine, generator, _ = make(dataclasses.replace(PLAN, interval=1, overload=overload), latency=0.45)
        engine.run(40)
        served[overload] = [request.number for request in generator.requests]
        taken = [seconds for _, seconds in engine.trace.round_trips]
        np.testing.assert_allclose(taken, 0.45)
        assert engine.num_forgotten + len(served[overload]) + len(engine._queue) == 40
    assert served[Overload.FIFO] == list(range(len(served[Overload.FIFO])))
    assert served[Overload.DROP] == list(range(0, 40, 4))
    assert served[Overload.LATEST][:4] == [0, 3, 7, 10]


def test_controls_are_read_as_late_as_possible_and_their_delay_is_measured():
    plan = dataclasses.replace(PLAN, overload=Overload.LATEST, interval=1)
    engine, generator, _ = make(plan, latency=0.3)
    engine.run(3)
    assert engine.set_controls("loud") == 1
    assert engine.controls == "loud"
    engine.run(20)
    # Request 0 was taken at 0 s, done at 0.3 s; request 2 of unit 2 (0.25 s) waited and was taken after the change.
    assert [request.number for request in generator.requests[:2]] == [0, 2]
    assert generator.requests[0].controls is None
    assert (generator.requests[1].controls, generator.requests[1].sequence) == ("loud", 1)
    # Back at 0.6 s, heard in the unit that begins at 0.625 s; set at 0.25 s.
    np.testing.assert_allclose(engine.trace.control_delays(), [0.375], atol=1e-9)


def test_nothing_sounds_in_anothers_turn():
    schedule = TurnSchedule(turn_units=8, preroll_units=4)
    rng = np.random.default_rng(3)
    plan = Plan(unit_seconds=0.1, interval=16, look_ahead=0, horizon=20, context=8)
    engine, generator, _ = make(
        plan, latency=lambda request: float(rng.uniform(0, 1.2)), trigger=OnTurn(schedule, 3), merge=Amend()
    )
    out = played(engine, 150)
    assert all(slot is None for unit, slot in out if schedule.role(unit) is not Role.MODEL)
    assert sum(slot is not None for _, slot in out) > 30
    assert {request.length for request in generator.requests} == {8}


def test_an_early_request_makes_the_first_note_punctual():
    schedule = TurnSchedule(turn_units=10)
    plan = Plan(unit_seconds=0.1, interval=20, look_ahead=0, horizon=10, context=10)
    for early, first in ((0, 13), (3, 10)):
        engine, _, _ = make(plan, latency=0.25, trigger=OnTurn(schedule, early), merge=Amend())
        sounding = [unit for unit, slot in played(engine, 20) if slot]
        assert sounding == list(range(first, 20))


def test_events():
    plan = Plan(unit_seconds=0.1, interval=1, look_ahead=0, horizon=1, context=0)
    engine, _, _ = make(plan, trigger=OnEvent())
    engine.run(3)
    engine.notify()
    engine.notify()
    assert [slot is not None for _, slot in played(engine, 3)] == [True, False, False]


def test_a_failing_model_is_reported_and_backup_plays():
    class Failing(Recorder):
        def generate(self, request):
            if request.number == 2:
                raise RuntimeError("out of memory")
            return super().generate(request)

    engine, _, _ = make(generator=Failing())
    out = played(engine, 12)
    assert [slot.request for _, slot in out[1:]] == [0, 0, 1, 1, 1, 1, 3, 3, 4, 4, 5]
    assert [fault.message for fault in engine.faults] == [
        "request 2 failed (RuntimeError: out of memory); playing on from backup"
    ]
    assert engine.trace.summary().underruns == 0


def test_a_hanging_device_is_reported_once_and_the_engine_goes_on():
    engine, _, _ = make(latency=lambda request: float("inf") if request.number == 3 else 0.0)
    out = played(engine, 100)
    assert len(out) == 100
    assert [slot is not None for _, slot in out[:14]] == [False] + [True] * 10 + [False] * 3
    assert len(engine.faults) == 1 and "has not answered for 5 s" in engine.faults[0].message


def test_a_generator_that_brings_too_much_or_nonsense():
    class Wrong(Recorder):
        def generate(self, request):
            return [0] * 9 if request.number == 0 else [None]

    engine, _, _ = make(generator=Wrong())
    assert [slot is not None for _, slot in played(engine, 9)] == [False] + [True] * 6 + [False] * 2
    messages = " / ".join(fault.message for fault in engine.faults)
    assert "brought 9 units, cut to 6" in messages and "brought None" in messages


def test_clear_forgets_what_was_and_what_is_on_its_way():
    engine, _, _ = make(dataclasses.replace(PLAN, interval=4), latency=0.2)
    engine.run(6)  # request 1 was asked at unit 4 and is there at unit 6
    engine.clear()
    assert [slot.request if slot else None for _, slot in played(engine, 7)] == [None] * 4 + [2, 2, 2]


def test_commit_freezes_what_was_handed_on():
    plan = dataclasses.replace(PLAN, commit=2, interval=4)
    engine, _, _ = make(plan)
    out = played(engine, 12)
    # Request 1 (asked at 4, for 5 and later) is placed at unit 4, when unit 5 is promised to request 0.
    assert [slot.request if slot else None for _, slot in out[:9]] == [None, 0, 0, 0, 0, 0, 1, 1, 1]


def test_the_trace_counts():
    engine, _, _ = make(dataclasses.replace(PLAN, interval=3, horizon=3), latency=0.25)
    engine.run(31)
    summary = engine.trace.summary()
    assert summary.num_responses == 10
    assert summary.deadline_misses == 10
    assert summary.rtf == pytest.approx(3 * 0.125 / 0.25)
    assert (summary.underruns, summary.gaps) == (9, 9)  # each payload is one unit late: two heard of three
    assert summary.staleness == pytest.approx(1.5)


def test_with_a_real_thread_on_the_wall():
    plan = Plan(unit_seconds=0.01, interval=4, look_ahead=4, horizon=30, context=4)
    clock = WallClock()
    worker = ThreadWorker(clock)
    engine = Engine(plan, Recorder(), worker, clock)
    out = played(engine, 40)
    worker.close()
    assert [unit for unit, _ in out] == list(range(40))
    assert clock.now_seconds() >= 0.39
    heard = [slot.payload for unit, slot in out if slot]
    assert len(heard) >= 20
    assert all(payload == (slot.request, unit) for (unit, slot), payload in zip([o for o in out if o[1]], heard))
