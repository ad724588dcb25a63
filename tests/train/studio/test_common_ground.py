"""What two styles share: a tempo near both, and keys with the same notes."""

import dataclasses

import pytest

from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.common_ground import at_tempo, common_tempo, loop_beats_at, nearest_key
from magenta_rt_py.train.studio.genres import GENRES, STARTER_GENRES
from magenta_rt_py.train.studio.harmony import MODES
from magenta_rt_py.train.studio.seeds import generator


@pytest.mark.parametrize("first", STARTER_GENRES)
def test_any_two_styles_find_a_tempo_near_both(first):
    for second in GENRES:
        frames = common_tempo((first, second), generator(0, "x"))
        assert frames in (*GENRES[first].frames_per_beat, *GENRES[second].frames_per_beat)
        assert all(loop_beats_at(genre, frames)[1] < 0.36 for genre in (first, second))


def test_half_time_keeps_a_slow_style_slow():
    assert loop_beats_at("techno", 12) == (4, 0.0)
    beats, distance = loop_beats_at("lofi hip hop", 10)
    assert beats == 8 and distance < 1e-9
    assert loop_beats_at("trap", 10) == (8, 0.0)
    assert loop_beats_at("techno", 24)[0] == 2


@pytest.mark.parametrize("mode", MODES)
def test_keys_share_their_notes(mode):
    card = dataclasses.replace(sample_card(1, genre="disco"), key=9, mode="minor")
    key = nearest_key(card, mode, generator(0, "x"))
    first, second = {(9 + step) % 12 for step in MODES["minor"]}, {(key + step) % 12 for step in MODES[mode]}
    assert len(first & second) >= min(7, len(second)) - 1
    assert mode != "major" or key == 0  # A minor and C major
    assert mode != "minor" or key == 9


def test_a_card_at_another_tempo_keeps_the_rest():
    card = sample_card(1, genre="lofi hip hop")
    moved = at_tempo(card, 10)
    assert (moved.frames_per_beat, moved.loop_beats) == (10, 8)
    assert dataclasses.replace(moved, frames_per_beat=card.frames_per_beat, loop_beats=card.loop_beats) == card
