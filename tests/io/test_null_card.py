"""The card without a device hands out what is written once, in order and on time, and hears what it should."""

import time

import numpy as np
import pytest

from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.live.clock import VirtualClock


class Sink:
    """Keeps what was played."""

    def __init__(self) -> None:
        self.main, self.cue = [], []

    def __call__(self, main: np.ndarray, cue: np.ndarray) -> None:
        self.main.append(main)
        self.cue.append(cue)


def noise(samples: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(samples, channels)).astype(np.float32)


def play(card: NullCard, sound: np.ndarray, piece: int, cue: np.ndarray | None = None) -> list:
    """Writes everything and lets it run out; what came in."""
    came = []
    for start in range(0, len(sound), piece):
        count = len(sound[start : start + piece])
        while not card.wait_for_room(count, 0.01):
            pass
        card.write(sound[start : start + count], None if cue is None else cue[start : start + count])
        came += card.read()
    card.wait_for_room(4800, 10.0)
    return came + card.read()


@pytest.mark.parametrize("piece", [1920, 333])
@pytest.mark.parametrize("has_cue", [True, False])
def test_what_is_written_is_handed_out_once_in_order(piece, has_cue):
    sink, clock, sound, cue = Sink(), VirtualClock(3.0), noise(50_000), noise(50_000)[:, 0]
    card = NullCard(clock=clock, on_play=sink, has_cue=has_cue)
    play(card, sound, piece, cue)
    np.testing.assert_array_equal(np.concatenate(sink.main), sound)
    np.testing.assert_array_equal(np.concatenate(sink.cue), cue if has_cue else 0 * cue)
    assert card.has_cue == has_cue and card.input_channels == 0
    assert clock.now_seconds() == pytest.approx(3.0 + 50_000 / 48_000, abs=0.03)
    assert card.status.is_running and card.status.underflows <= 1


def test_room():
    clock = VirtualClock()
    card = NullCard(clock=clock, block_samples=480, buffer_samples=1000)
    assert card.wait_for_room(1000, 0.0) and clock.now_seconds() == 0.0
    card.write(noise(700))
    assert card.queued_samples() == 700
    assert not card.wait_for_room(301, 0.0)
    assert not card.wait_for_room(301, 0.004) and clock.now_seconds() == 0.004
    assert card.wait_for_room(301, 1.0) and clock.now_seconds() == pytest.approx(0.01)
    assert card.queued_samples() == 220
    with pytest.raises(ValueError, match="1001 samples in a buffer of 1000"):
        card.wait_for_room(1001, 1.0)
    with pytest.raises(ValueError, match="wait_for_room"):
        card.write(noise(5000))
    card.close()
    card.close()
    assert not card.wait_for_room(1, 1.0) and not card.status.is_running


def test_nothing_written_in_time_stands_still():
    clock, sink = VirtualClock(), Sink()
    card = NullCard(clock=clock, block_samples=480, performance=noise(96_000), on_play=sink)
    clock.wait_until(1.0)
    assert card.queued_samples() == 0 and card.status.underflows == 0  # not begun
    card.write(noise(700))
    clock.wait_until(1.05)
    came = card.read()
    assert card.status.underflows == 4
    assert [(one.device_start, len(one.samples)) for one in came] == [(0, 480), (480, 220)]
    card.write(noise(480))
    clock.wait_until(1.06)
    assert [one.device_start for one in card.read()] == [700]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("is_looped", [True, False])
def test_a_performance_comes_in_after_the_round_trip(channels, is_looped):
    performance = noise(10_000, channels)
    card = NullCard(clock=VirtualClock(), performance=performance, is_looped=is_looped, round_trip_samples=777)
    came = play(card, noise(30_000), 960)
    assert card.input_channels == channels
    position = 0
    for one in came:
        assert (one.opening, one.device_start) == (0, position)
        position += len(one.samples)
    assert position == 30_000
    got = np.concatenate([one.samples for one in came])
    stereo = np.broadcast_to(performance, (10_000, 2))
    assert not got[:777].any()
    np.testing.assert_array_equal(got[777:10_777], stereo)
    np.testing.assert_array_equal(got[10_777:20_777], stereo if is_looped else 0.0 * stereo)


@pytest.mark.parametrize("round_trip", [0, 100, 5000])
def test_an_echo(round_trip):
    sound = noise(20_000)
    card = NullCard(clock=VirtualClock(), echo_gain=0.5, round_trip_samples=round_trip)
    got = np.concatenate([one.samples for one in play(card, sound, 480)])
    np.testing.assert_array_equal(got[round_trip:], 0.5 * sound[: len(got) - round_trip])
    assert not got[:round_trip].any()


def test_unplugged_and_back():
    clock, sink, sound = VirtualClock(), Sink(), noise(48_000)
    card = NullCard(clock=clock, on_play=sink, echo_gain=1.0)
    play(card, sound[:9600], 480)
    card.unplug()
    heard, began = len(np.concatenate(sink.main)), clock.now_seconds()
    assert play(card, sound, 480) == []  # the music goes on at its pace, unheard
    assert clock.now_seconds() - began == pytest.approx(1.0, abs=0.03)
    status = card.status
    assert not status.is_running and "unplugged" in status.problem and status.opening == 0
    card.plug_in()
    assert card.opening == 0
    came = play(card, sound[:4800], 480)
    assert (card.opening, card.status.opening, card.status.problem) == (1, 1, None)
    np.testing.assert_array_equal(np.concatenate(sink.main)[heard:], sound[:4800])
    assert (came[0].opening, came[0].device_start) == (1, 0)


def test_wall_clock():
    card, began = NullCard(), time.monotonic()
    play(card, noise(24_000), 480)
    assert 0.45 < time.monotonic() - began < 5.0


def test_refused():
    for wrong in ({"block_samples": 0}, {"buffer_samples": 1000}, {"round_trip_samples": -1}):
        with pytest.raises(ValueError, match="two blocks or more"):
            NullCard(**wrong)
