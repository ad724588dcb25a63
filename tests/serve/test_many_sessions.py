"""Whole performances by the dozen on one device and a virtual clock: they come and go, and nobody else notices."""

import numpy as np
import pytest

from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.generator import Kind
from magenta_rt_py.live.planner import PlannerConfig
from magenta_rt_py.live.session import Session
from magenta_rt_py.serve.playing import lead_seconds
from magenta_rt_py.serve.stand_in import StandIn, StandInSound, StandInStyles, clicks_of, past_until
from tests.serve.virtual_device import VirtualDevice

TICK_SECONDS, FRAME = 0.01, 1920
SIZES = (1, 2, 4, 8, 16)
SHORT_COSTS, LONG_COSTS = (0.10, 0.11, 0.13, 0.17, 0.25), (0.2, 0.22, 0.26, 0.34, 0.5)


@pytest.fixture(autouse=True)
def types_are_checked_elsewhere(unchecked):
    pass


class Model(StandIn):
    """The stand-in as one that serves several at once; `fails` says which requests it fails at."""

    def __init__(self, sizes=SIZES, fails=lambda request: False):
        super().__init__()
        self._sizes, self._fails = sizes, fails

    def kind(self, request):
        costs = SHORT_COSTS if request.length <= 20 else LONG_COSTS
        return Kind(("stand-in", costs), self._sizes, costs[: len(self._sizes)])

    def begin(self, request):
        if self._fails(request):
            raise RuntimeError("broken")
        return request

    def run(self, parts):
        return [self.generate(part) for part in parts]

    def end(self, request, made):
        return made


class House:
    """Sessions on one device; `go` lets time pass for all of them."""

    def __init__(self):
        self.clock = VirtualClock()
        self.device = VirtualDevice(self.clock)
        self.sessions, self.heard = {}, {}

    def join(self, name, model=None):
        heard, past = [], past_until(0)
        card = NullCard(clock=self.clock, on_play=lambda main, cue: heard.append(main.copy()))
        worker = self.device.worker(lambda: lead_seconds(session, session.card))
        session = Session(
            model or Model(), StandInSound("click", past[-1]), card, Board(), StandInStyles(),
            worker=worker, clock=self.clock, past=past,
            planner_config=PlannerConfig(short_frames=20, cost_seconds={20: SHORT_COSTS[0], 50: LONG_COSTS[0]}),
        )  # fmt: skip
        self.sessions[name], self.heard[name] = (session, worker), heard

    def leave(self, name):
        session, worker = self.sessions.pop(name)
        worker.close()
        session.close()

    def go(self, seconds):
        ends = self.clock.now_seconds() + seconds
        while self.clock.now_seconds() < ends:
            self.device.advance()
            for session, _ in self.sessions.values():
                if session.card.wait_for_room(FRAME, 0.0):
                    session.step()
            self.clock.wait_until(self.clock.now_seconds() + TICK_SECONDS)


def is_whole(house, name, least_seconds):
    """Whether every frame was heard once and in order, from the first on, and so many seconds of them."""
    places, numbers = clicks_of(np.concatenate(house.heard[name]))
    in_order = np.array_equal(numbers, (numbers[0] + np.arange(len(numbers))) % 8)
    return in_order and (np.diff(places) == FRAME).all() and len(places) * 0.04 >= least_seconds


def test_sixteen_play_without_a_gap_and_go_together():
    house = House()
    for number in range(16):
        house.join(number)
        house.go(0.05)
    house.go(6.0)
    for number in range(16):
        assert is_whole(house, number, 5.0)
    served = [size for began, size in house.device.runs if began > 3.0]
    assert np.mean(served) > 3.0
    assert len({session.engine.timeline.playhead for session, _ in house.sessions.values()}) > 1, "they must not be in step"


def test_one_after_the_other_they_are_too_many():
    """What batches are for: the same sixteen need 1.6 s of work for 0.8 s of music."""
    house = House()
    for number in range(16):
        house.join(number, Model(sizes=(1,)))
    house.go(6.0)
    assert not all(is_whole(house, number, 4.0) for number in range(16))


def test_who_comes_and_goes_is_not_noticed_by_the_others():
    house = House()
    for name in "abcd":
        house.join(name)
    house.go(2.0)
    for round_number in range(5):
        for guest in range(round_number % 4 * 4):
            house.join((round_number, guest))
        house.go(0.83)
        for name in [name for name in house.sessions if isinstance(name, tuple)][::2]:
            house.leave(name)
        house.go(0.41)
    for name in "abcd":
        assert is_whole(house, name, 6.0)
    for name in [name for name in house.sessions if isinstance(name, tuple)]:
        assert is_whole(house, name, 0.3)


def test_one_whose_requests_fail_takes_nobody_down():
    house = House()
    for name in "abc":
        house.join(name)
    house.join("bad", Model(fails=lambda request: request.number % 2 == 1))
    house.join("dead", Model(fails=lambda request: request.number > 3))
    house.go(6.0)
    for name in "abc":
        assert is_whole(house, name, 5.0)
        assert not house.sessions[name][0].engine.faults
    assert is_whole(house, "bad", 5.0)  # from backup
    assert "broken" in house.sessions["bad"][0].engine.faults[-1].message
    assert house.sessions["dead"][0].seconds < 5.0
