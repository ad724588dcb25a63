"""Held-out renders: seeds apart, lengths and tempos right."""

import pytest

from magenta_rt_py.train.evaluation import renders

GENRES = ("techno", "ambient")


def test_seeds_of_genres_and_of_the_two_sets_are_disjoint(fake_studio):
    seeds = []
    for first in (renders.HELD_OUT_SEED, renders.PROBE_TEST_SEED):
        sounds = renders.render_sounds(GENRES, first_seed=first, pieces_per_genre=3, seconds=10.0, workers=1)
        seeds += [sound.seed for sound in sounds]
    assert len(set(seeds)) == 12
    assert min(seeds) >= 900_000_000


def test_a_sound_has_the_asked_length_and_its_own_tempo(fake_studio):
    (sound,) = renders.render_sounds(("ambient",), first_seed=1, pieces_per_genre=1, seconds=10.0, workers=1)
    assert sound.samples.shape == (480_000, 2)
    assert (sound.genre, sound.bpm) == ("ambient", 75.0)


def test_too_many_pieces_are_refused(fake_studio):
    with pytest.raises(ValueError, match="next genre"):
        list(renders.render_sounds(GENRES, first_seed=1, pieces_per_genre=1001, seconds=10.0, workers=1))
