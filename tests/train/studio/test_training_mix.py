"""The training mix: shares of the kinds, held-out transitions that never come, and pieces too short to move."""

from collections import Counter

import numpy as np
import pytest

from magenta_rt_py.train.studio import training_mix
from magenta_rt_py.train.studio.genres import STARTER_GENRES
from magenta_rt_py.train.studio.held_out import HELD_OUT_TRANSITIONS
from magenta_rt_py.train.studio.seeds import generator
from magenta_rt_py.train.studio.training_mix import SHARES, draw_kind, draw_piece
from magenta_rt_py.train.studio.transition import draw_second


def test_kinds_come_at_their_shares():
    drawn = Counter(draw_kind(seed) for seed in range(4000))
    assert sum(SHARES.values()) == pytest.approx(1.0)
    for kind, share in SHARES.items():
        assert drawn[kind] / 4000 == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("genre", STARTER_GENRES)
def test_held_out_transitions_are_never_drawn(genre):
    drawn = {draw_second(genre, generator(seed, "test")) for seed in range(400)}
    held_out = {second for first, second in HELD_OUT_TRANSITIONS if first == genre}
    assert genre not in drawn and not drawn & held_out
    assert len(drawn) == len(STARTER_GENRES) - 1 - len(held_out & set(STARTER_GENRES))


@pytest.mark.parametrize("kind", SHARES)
def test_a_piece_is_of_the_kind_that_was_drawn(kind):
    seed = next(seed for seed in range(200) if draw_kind(seed) == kind)
    piece = draw_piece(seed, genre="chiptune", seconds=16.0)
    assert piece.label.kind == kind and piece.label.genre == "chiptune"
    assert piece.samples.shape == (16 * 48_000, 2)
    assert len(piece.label.sections) == (2 if kind == "transition" else 1)
    np.testing.assert_array_equal(draw_piece(seed, genre="chiptune", seconds=16.0).samples, piece.samples)


def test_a_piece_too_short_for_a_transition_is_an_arrangement():
    seed = next(seed for seed in range(200) if draw_kind(seed) == "transition")
    assert draw_piece(seed, genre="chiptune", seconds=2.0).label.kind == "full"


def test_all_slow_genres_have_room_for_a_transition():
    from magenta_rt_py.train.studio.genres import GENRES

    slowest = max(frames for spec in GENRES.values() for frames in spec.frames_per_beat)
    assert training_mix.SHORTEST_TRANSITION_SECONDS >= 16 * slowest * 0.04
