"""A file in place of a performer comes in sample by sample where a player's sound would, whatever the card does."""

import itertools

import numpy as np
import pytest

from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.io.played_along import PlayedAlong
from magenta_rt_py.live.clock import VirtualClock


def count_up(samples):
    """Every sample says its own place, from 1."""
    return np.repeat(np.arange(1, samples + 1, dtype=np.float32)[:, None], 2, axis=1)


def play(card, samples, piece=480):
    """Writes so much silence and hears what comes in."""
    came = []
    for start in range(0, samples, piece):
        count = min(piece, samples - start)
        while not card.wait_for_room(count, 0.01):
            came += card.read()
        card.write(np.zeros((count, 2), np.float32))
        came += card.read()
    return came


def placed(captured, opening):
    """What came in by device sample, checked for holes."""
    mine = [each for each in captured if each.opening == opening]
    for before, after in itertools.pairwise(mine):
        assert after.device_start == before.device_start + len(before.samples)
    return mine[0].device_start, np.concatenate([each.samples for each in mine])


def make(performance, *, round_trip=0, is_looped=True, **options):
    null = NullCard(clock=VirtualClock(), **options)
    return null, PlayedAlong(null, performance, is_looped=is_looped, round_trip_samples=round_trip)


@pytest.mark.parametrize("round_trip", [0, 1, 777, 6000])
@pytest.mark.parametrize("piece", [480, 1920, 333])
@pytest.mark.parametrize("is_looped", [True, False])
def test_file_sample_i_comes_in_with_device_sample_i_after_the_round_trip(round_trip, piece, is_looped):
    null, card = make(count_up(10_000), round_trip=round_trip, is_looped=is_looped)
    start, got = placed(play(card, 40_000, piece), 0)
    assert start == 0 and got.dtype == np.float32 and len(got) > 30_000
    places = np.arange(len(got)) - round_trip
    expected = places % 10_000 + 1 if is_looped else np.where(places < 10_000, places + 1, 0)
    np.testing.assert_array_equal(got, np.repeat(np.where(places < 0, 0, expected)[:, None], 2, axis=1))
    assert len(got) == 40_000 - null.queued_samples()  # exactly what was handed out


def test_it_is_the_same_as_a_performer_at_the_card():
    """As exact as the null card's own performer."""
    sound = np.random.default_rng(0).normal(size=(20_000, 2)).astype(np.float32)
    clock = VirtualClock()
    real = NullCard(clock=clock, performance=sound, is_looped=True, round_trip_samples=500)
    _, card = make(sound, round_trip=500)
    _, expected = placed(play(real, 30_000), 0)
    _, got = placed(play(card, 30_000), 0)
    np.testing.assert_array_equal(got, expected[: len(got)])


def test_a_card_that_is_lost_and_comes_back():
    """The performer plays on; with the new opening device samples are counted from 0, and the file goes on where it was."""
    null, card = make(count_up(200_000), round_trip=700)
    came = play(card, 20_000)
    null.unplug()
    came += play(card, 10_000)
    assert card.status.problem is not None and {each.opening for each in came} == {0}
    null.plug_in()
    assert card.opening == 0
    came += play(card, 20_000)
    assert card.opening == card.status.opening == 1 and card.status.problem is None
    start, before = placed(came, 0)
    again, after = placed(came, 1)
    assert start == again == 0 and len(after) == 20_000 - null.queued_samples()
    np.testing.assert_array_equal(np.concatenate([before, after])[700:, 0], np.arange(1, len(before) + len(after) - 699))
    null.unplug()
    null.plug_in()
    _, third = placed(play(card, 10_000), 2)
    assert third[0, 0] == after[-1, 0] + 1


def test_nothing_comes_in_while_nothing_is_handed_out():
    null, card = make(count_up(1000))
    assert card.read() == []
    card.write(np.zeros((400, 2), np.float32))  # less than a block: it waits
    assert card.read() == []
    null.wait_for_room(4800, 0.1)
    (block,) = card.read()
    assert (block.device_start, len(block.samples)) == (0, 400)
    null.wait_for_room(4800, 0.5)
    assert card.read() == []  # silence is no device sample


def test_an_empty_file_and_what_is_passed_on():
    null, card = make(np.zeros((0, 2), np.float32), has_cue=True, block_samples=256)
    assert play(card, 5000) == []
    assert (card.block_samples, card.has_cue, card.input_channels) == (256, True, 2)
    assert card.queued_samples() == null.queued_samples() and card.status.name == null.status.name
    card.close()
    assert not null.wait_for_room(1, 0.0)
