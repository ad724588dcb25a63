"""The performer: switched off, nothing of them is in the mix, whatever else says how loud they are."""

import numpy as np
import pytest

from magenta_rt_py.live import transport as transports
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.card import Captured
from magenta_rt_py.live.performer import Performer

FRAME = 1920
TRANSPORT = transports.start(120.0)


def noise(frames, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (frames * FRAME, 2)).astype(np.float32)


def play_along(performer, first, frames, **knobs):
    """The performer hears some frames of music and plays to them; the mix up to their end."""
    performer.set(Board({"inject/gain": 0.5, **knobs}).settings.values, TRANSPORT, first, 0)
    performer.play(first * FRAME, noise(frames, first))
    performer.wrote(0, first * FRAME, frames * FRAME)
    performer.hear([Captured(0, first * FRAME, noise(frames, 1000 + first))], TRANSPORT)
    return performer.mix(first + frames, played_until_frame=first + frames)


def test_on_and_off_by_ramps():
    performer = Performer()
    assert play_along(performer, 0, 10).is_mixed.all() and not performer.is_left_out(10)
    off = play_along(performer, 10, 250, **{"inject/on": False})
    assert off.is_mixed[:1].all() and not off.is_mixed[2:].any(), "a ramp of 21 ms, and then what was played"
    own = noise(250, 10)[-200 * FRAME :]
    np.testing.assert_array_equal(off.samples[-200 * FRAME :], own)
    until = off.start_frame + int(np.flatnonzero(off.is_mixed)[-1]) + 1
    assert not performer.is_left_out(until + 249) and performer.is_left_out(until + 250)
    back = play_along(performer, 260, 10)
    assert back.is_mixed.all() and not performer.is_left_out(500)
    played = np.concatenate([noise(250, 10), noise(10, 260)])[-len(back.samples) :]
    change = np.abs(back.samples - played)
    assert change[:20].max() < 0.02 < 0.2 < change.max(), "from nothing, not all at once"


def test_who_sends_nothing_is_not_heard_and_costs_nothing():
    performer = Performer()
    for first in (0, 10, 20):
        performer.set(Board({"inject/gain": 0.5}).settings.values, TRANSPORT, first, 0)
        performer.play(first * FRAME, noise(10, first))
        performer.wrote(0, first * FRAME, 10 * FRAME)
        mix = performer.mix(first + 10, played_until_frame=first + 10)
        np.testing.assert_array_equal(mix.samples[-10 * FRAME :], noise(10, first))
        assert not mix.is_mixed.any() and performer.is_left_out(first + 10)
    came = play_along(performer, 30, 10)
    assert came.is_mixed.all() and not performer.is_left_out(40)
    gone = 40 + 250  # the last of it leaves the context
    assert not performer.is_left_out(gone - 1)
    performer.set(Board().settings.values, TRANSPORT, 40, 0)
    performer.play(40 * FRAME, noise(500, 40))
    assert not performer.mix(540, played_until_frame=540).is_mixed[-450:].any()
    assert performer.is_left_out(540 + 250)


def test_who_comes_after_another_past_comes_by_a_ramp():
    performer = Performer()
    for first in (0, 10):  # nobody sends anything, and the music turns to another past
        performer.set(Board({"inject/gain": 0.5}).settings.values, TRANSPORT, first, 0)
        performer.turn(first)
        performer.play(first * FRAME, noise(10, first))
        performer.wrote(0, first * FRAME, 10 * FRAME)
        mix = performer.mix(first + 10, played_until_frame=first + 10)
        assert not mix.is_mixed.any() and performer.is_left_out(first + 10)
    came = play_along(performer, 20, 10)
    change = np.abs(came.samples - noise(10, 20)[-len(came.samples) :])
    assert change[:20].max() < 0.02 < 0.2 < change.max()


@pytest.mark.parametrize("is_on", [True, False])
def test_an_intro_does_not_switch_anybody_on(is_on):
    performer = Performer()
    values = Board({"inject/on": is_on}).settings.values
    performer.set(values, TRANSPORT, 0, 0)
    performer.level(gain=1.0, feedback=0.0)
    performer.turn(0)
    performer.play(0, noise(10))
    performer.wrote(0, 0, 10 * FRAME)
    performer.hear([Captured(0, 0, noise(10, 1))], TRANSPORT)
    assert performer.mix(10, played_until_frame=10).is_mixed.any() == is_on


def test_a_performer_who_is_off_is_not_late():
    performer = Performer()
    performer.wrote(0, 0, 20 * FRAME)
    performer.turn(10)
    late = []
    for place, is_on in enumerate((False, True)):
        performer.set(Board({"inject/on": is_on}).settings.values, TRANSPORT, 20, 0)
        performer.hear([Captured(0, 3 * place * FRAME, noise(3, 1))], TRANSPORT)
        late.append(performer.late_samples)
    assert late == [0, 3 * FRAME]


def test_another_past_has_nothing_of_the_performer_in_it():
    performer = Performer()
    play_along(performer, 0, 10)
    performer.set(Board({"inject/on": False}).settings.values, TRANSPORT, 10, 0)
    assert not performer.is_left_out(10)
    performer.turn(10)
    assert performer.is_left_out(10)
