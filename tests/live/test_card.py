"""The protocol: both cards keep to it, and its counts are what the alignment needs."""

import inspect

import numpy as np
import pytest

from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.io.sound_card import SoundCard
from magenta_rt_py.live import alignment, calibration
from magenta_rt_py.live.card import Captured, Card, CardStatus
from magenta_rt_py.live.clock import VirtualClock

METHODS = ("wait_for_room", "queued_samples", "write", "read", "close")


@pytest.mark.parametrize("kind", [NullCard, SoundCard])
def test_a_card_is_a_card(kind):
    for name in METHODS:
        asked, given = inspect.signature(getattr(Card, name)), inspect.signature(getattr(kind, name))
        assert [str(one) for one in asked.parameters.values()] == [str(one) for one in given.parameters.values()], name
    assert isinstance(kind.opening, property) and isinstance(kind.status, property)


def test_the_null_card_is_one():
    card = NullCard(clock=VirtualClock())
    assert isinstance(card, Card) and isinstance(card.status, CardStatus)
    assert not isinstance(object(), Card)


def test_records():
    assert Captured._fields == ("opening", "device_start", "samples")
    assert CardStatus._fields[:8] == (
        "name",
        "is_running",
        "opening",
        "underflows",
        "problem",
        "callback_p999_seconds",
        "block_seconds",
        "output_delay_seconds",
    )


def test_counting_what_was_written_places_the_input():
    """A performer who repeats what is heard: placed by the alignment, the two lie on top of each other."""
    rng = np.random.default_rng(0)
    stream = rng.normal(size=(60_000, 2)).astype(np.float32)
    card = NullCard(clock=VirtualClock(), echo_gain=1.0, round_trip_samples=1234)
    heard = alignment.init_state(round_trip_samples=1234)
    performer = np.full_like(stream, np.nan)
    for start in range(0, len(stream), 960):
        if start != 9600:
            assert card.wait_for_room(960, 1.0)
        else:
            card._clock.wait_until(card._clock.now_seconds() + 0.5)  # the engine was busy: an underflow
        card.write(stream[start : start + 960])
        heard = alignment.advance(heard, start, 960)
        for one in card.read():
            for placed in alignment.place(heard, one.device_start, len(one.samples)):
                length = placed.last - placed.first
                performer[placed.stream_start :][:length] = one.samples[placed.first : placed.last]
    assert card.status.underflows > 10
    known = ~np.isnan(performer[:, 0])
    assert known[:50_000].all()
    np.testing.assert_array_equal(performer[known], stream[known])


def test_a_calibration_finds_the_round_trip():
    card, sweep = NullCard(clock=VirtualClock(), echo_gain=0.3, round_trip_samples=2345), calibration.sweep()
    came = []
    for start in range(0, 72_000, 480):
        assert card.wait_for_room(480, 1.0)
        mono = np.zeros(480, np.float32)
        piece = sweep[start : start + 480]
        mono[: len(piece)] = piece
        card.write(np.stack([mono, mono], axis=1))
        came += card.read()
    recorded = np.concatenate([one.samples[:, 0] for one in came])
    assert calibration.measure_round_trip(sweep, recorded) == 2345
