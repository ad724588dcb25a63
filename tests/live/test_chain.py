"""A chained stream is one unbroken chain, whatever the device does, and turns exactly where it is told to."""

import dataclasses
import itertools
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.live import chain
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.engine import Engine
from magenta_rt_py.live.merge import Segment
from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.timeline import Timeline
from magenta_rt_py.live.triggers import Span
from magenta_rt_py.live.worker import SimulatedWorker

CONTEXT = 7
PLAN = Plan(unit_seconds=0.04, interval=3, look_ahead=4, horizon=10, context=CONTEXT, chained=True)
PAST = (11, 12, 13)


def following(history, unit):
    """The next value depends on all of the context and its place."""
    return zlib.crc32(repr((tuple(history[-CONTEXT:]), unit)).encode())


def offline(past, first, end):
    """The chain without an engine: units first .. end - 1 after a past."""
    values = [None] * CONTEXT + list(past)
    for unit in range(first, end):
        values.append(following(values, unit))
    return values[len(values) - (end - first) :]


class Chained:
    """Goes on from the history; sometimes it fails, or brings less."""

    def __init__(self, fails=lambda request: False, brings=lambda request: request.length):
        self.requests, self._fails, self._brings = [], fails, brings

    def generate(self, request):
        self.requests.append(request)
        if self._fails(request):
            raise RuntimeError("out of memory")
        values = list(request.history)
        for unit in range(request.start, request.start + self._brings(request)):
            values.append(following(values, unit))
        return values[len(request.history) :]


class Stream:
    """An engine that is stepped every unit on a virtual clock."""

    def __init__(self, plan=PLAN, latency=0.0, generator=None):
        self.clock = VirtualClock(3.0)
        of = latency if callable(latency) else lambda request: latency
        self.generator = generator or Chained()
        self.engine = Engine(plan, self.generator, SimulatedWorker(self.clock, of), self.clock)
        self.engine.turn(0, PAST)
        self.values, self.held = [], []
        self._steps = 0

    def play(self, steps, before=lambda: None):
        for _ in range(steps):
            self.clock.wait_until(3.0 + 0.04 * self._steps)
            self._steps += 1
            before()
            playhead = self.engine.timeline.playhead
            slot = self.engine.step()
            assert self.engine.timeline.playhead == playhead + (slot is not None)
            if slot is None:
                self.held.append(playhead)
            else:
                self.values.append(slot.payload)

    def play_until_asked(self):
        """Some music, and on until the device has just taken a request."""
        self.play(20)
        asked = len(self.generator.requests)
        while len(self.generator.requests) == asked:
            self.play(1)


@st.composite
def plans(draw):
    interval, look_ahead = draw(st.integers(1, 8)), draw(st.integers(0, 8))
    horizon = draw(st.integers(max(interval, look_ahead + 1), 16))
    return dataclasses.replace(PLAN, interval=interval, look_ahead=look_ahead, horizon=horizon)


@settings(max_examples=20, deadline=None)
@given(plans(), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_answers_within_the_look_ahead_make_the_offline_chain_without_a_gap(plan, shares):
    longest = plan.look_ahead * plan.unit_seconds
    stream = Stream(plan, lambda request: shares[request.number % len(shares)] * longest)
    stream.play(50)
    assert stream.held == [0] * len(stream.held)  # it stands still before the first answer only
    assert len(stream.held) <= plan.look_ahead
    assert stream.values == offline(PAST, 0, len(stream.values))
    assert [fault.message for fault in stream.engine.faults] == []


@settings(max_examples=20, deadline=None)
@given(plans(), st.lists(st.tuples(st.floats(0.0, 1.5), st.booleans(), st.integers(1, 16)), min_size=1, max_size=12))
def test_late_failed_and_short_answers_skip_nothing(plan, answers):
    """The stream stands still where there is nothing to play, and goes on from there."""

    def of(request):
        return answers[request.number % len(answers)]

    generator = Chained(
        lambda request: of(request)[1] and request.number % 3 > 0, lambda request: min(request.length, of(request)[2])
    )
    stream = Stream(plan, lambda request: of(request)[0], generator)
    stream.play(70)
    assert stream.values == offline(PAST, 0, len(stream.values))
    assert len(stream.values) + len(stream.held) == 70 and stream.engine.trace.num_units == len(stream.values)


def test_a_slow_device_is_heard_with_holds():
    stream = Stream(latency=0.6)  # 15 units for 10
    stream.play(100)
    assert len(stream.held) > 20 and len(stream.values) > 40
    assert stream.values == offline(PAST, 0, len(stream.values))
    busy = [(request.start, request.length) for request in stream.generator.requests]
    assert all(second[0] <= first[0] + first[1] for first, second in itertools.pairwise(busy))


def test_other_plans_on_the_way_break_nothing():
    rng = np.random.default_rng(0)
    stream = Stream(latency=lambda request: float(rng.uniform(0.0, 0.5)))
    for _ in range(20):
        stream.play(int(rng.integers(1, 20)))
        interval, look_ahead = int(rng.integers(1, 9)), int(rng.integers(0, 9))
        horizon = max(interval, int(rng.integers(1, 12)))
        stream.engine.replan(dataclasses.replace(PLAN, interval=interval, look_ahead=look_ahead, horizon=horizon))
    assert stream.values == offline(PAST, 0, len(stream.values)) and len(stream.values) > 100
    assert len({request.length for request in stream.generator.requests}) > 5


@settings(max_examples=30, deadline=None)
@given(
    plans(),
    st.lists(st.floats(0.0, 0.6), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 12), st.integers(0, 10)), max_size=6),
    st.booleans(),
)
def test_a_turn_changes_the_past_exactly_there(plan, latencies, turns, is_failing):
    """Units before a turn are as they would have been without it; those after it go on from what it came with."""
    generator = Chained(lambda request: is_failing and request.number % 4 == 1)
    stream = Stream(plan, lambda request: latencies[request.number % len(latencies)], generator)
    points = [(0, PAST)]
    for number, (wait, ahead, length) in enumerate(turns):
        stream.play(wait)
        unit = stream.engine.timeline.frozen_until + ahead
        waiting = stream.engine._turning
        if not waiting.is_reached and waiting.unit < unit:
            continue  # one turn is waiting already
        past = tuple(1000 * (number + 1) + place for place in range(length))
        stream.engine.turn(unit, past)
        points = [point for point in points if point[0] < unit] + [(unit, past)]
    stream.play(45)
    end, expected = len(stream.values), []
    for (first, past), (until, _) in zip(points, [*points[1:], (end, ())]):
        expected += offline(past, first, min(until, end))[: max(0, end - first)]
    assert stream.values == expected


def test_an_answer_on_its_way_does_not_reach_beyond_a_turn():
    stream = Stream(latency=0.16)
    stream.play_until_asked()
    flying = stream.generator.requests[-1]
    unit = flying.start + 2
    stream.engine.turn(unit, (99,))
    at = stream.engine.timeline.at
    stream.play(4)  # it comes
    assert at(unit - 1) is not None and at(unit - 1).request == flying.number
    assert all(at(each) is None or at(each).request > flying.number for each in range(unit, unit + 20))
    stream.play(30)
    assert stream.values == offline(PAST, 0, unit) + offline((99,), unit, len(stream.values))
    first = next(request for request in stream.generator.requests if request.start == unit)
    assert first.history == (None,) * (CONTEXT - 1) + (99,)
    later = [request for request in stream.generator.requests if request.number > flying.number]
    assert not [request for request in later if request.start < unit < request.start + request.length]


def test_a_turn_that_the_music_has_got_to_holds_though_another_follows():
    stream = Stream(latency=0.12)
    stream.play_until_asked()
    unit = stream.engine.timeline.frozen_until
    stream.engine.turn(unit, (1, 2, 3))
    stream.engine.turn(unit + 20, (4, 5, 6))  # before the first one was asked for
    stream.play(40)
    assert stream.values[unit : unit + 20] == offline((1, 2, 3), unit, unit + 20)
    assert stream.values[unit + 20 : unit + 25] == offline((4, 5, 6), unit + 20, unit + 25)


def test_a_panic_drops_what_is_on_its_way():
    stream = Stream(latency=0.16)
    stream.play_until_asked()
    stream.engine.clear()
    unit = stream.engine.timeline.frozen_until
    stream.engine.turn(unit, PAST)
    stream.play(40)
    assert stream.values == offline(PAST, 0, unit) + offline(PAST, unit, len(stream.values))


def test_a_turn_in_the_frozen_zone_is_refused_and_changes_nothing():
    stream = Stream(latency=0.1)
    stream.play(20)
    frozen = stream.engine.timeline.frozen_until
    assert frozen > stream.engine.timeline.playhead
    with pytest.raises(ValueError, match=f"unit {frozen - 1} can no longer change; give {frozen} or later"):
        stream.engine.turn(frozen - 1, ())
    stream.play(40)
    assert stream.values == offline(PAST, 0, len(stream.values))


def filled(until, playhead=0, frozen=0):
    """A timeline with payload up to a unit."""
    timeline = Timeline(history_units=20)
    timeline.put(Segment(0, 0, (1,) * until))
    for _ in range(playhead):
        timeline.play()
    timeline.freeze(frozen)
    return timeline


@pytest.mark.parametrize(
    ("timeline", "last_start", "turning", "expected"),
    [
        (filled(0), None, None, Span(0, 10)),  # nothing yet: right away
        (filled(20, 2), 0, None, Span(6, 10)),  # the look-ahead after the playhead
        (filled(20, 2), 4, None, None),  # too early
        (filled(20, 2, frozen=9), 0, None, Span(9, 10)),  # not into what is promised
        (filled(5, 2), 4, None, Span(5, 10)),  # a gap is asked for at once
        (filled(20, 2), 0, chain.TurningPoint(30, 1), Span(6, 10)),
        (filled(8, 2), 0, chain.TurningPoint(9, 1), Span(6, 3)),  # stops there
        (filled(9, 2), 0, chain.TurningPoint(9, 1), Span(9, 10)),  # all is there: the next begins there
        (filled(8, 2), 4, chain.TurningPoint(9, 1), None),
        (filled(8, 5), 6, chain.TurningPoint(9, 1), Span(8, 1)),
        (filled(20, 2), 4, chain.TurningPoint(9, 1, True), None),
    ],
)
def test_span(timeline, last_start, turning, expected):
    assert chain.span(timeline, PLAN, last_start, turning) == expected


@pytest.mark.parametrize("unit", [6, 20])
@pytest.mark.parametrize("wait", [1, 15])
def test_a_turn_replaces_one_that_waits(unit, wait):
    """Also at the very beginning, where the past that the stream began with is still context."""
    stream = Stream(latency=0.16)
    stream.play(wait)
    unit = max(unit, stream.engine.timeline.frozen_until)
    stream.engine.turn(20, (98,))
    stream.engine.turn(unit, (99,))
    stream.play(60)
    assert stream.values == offline(PAST, 0, unit) + offline((99,), unit, len(stream.values))
