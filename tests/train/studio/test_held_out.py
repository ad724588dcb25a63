"""What is held out is complete, exists, and could otherwise have been trained."""

from magenta_rt_py.train.studio.casting import borrowable
from magenta_rt_py.train.studio.genres import GENRES, STARTER_GENRES
from magenta_rt_py.train.studio.held_out import (
    EVALUATION_TEXTS,
    HELD_OUT_CAPTIONS,
    HELD_OUT_PAIRS,
    HELD_OUT_TRANSITIONS,
    MORE_TEXTS,
)
from magenta_rt_py.train.studio.instruments import INSTRUMENTS


def test_twenty_prompts_of_twenty_genres():
    genres = [genre for _, genre in EVALUATION_TEXTS]
    assert len(genres) == len(set(genres)) == 20
    assert set(genres) <= set(STARTER_GENRES)


def test_every_genre_has_a_text_of_its_own():
    assert {genre for _, genre in MORE_TEXTS} == set(GENRES)
    assert len({text.lower() for text in HELD_OUT_CAPTIONS}) == len(EVALUATION_TEXTS) + len(MORE_TEXTS)


def test_held_out_pairs_are_no_genres_own_and_would_be_borrowed_otherwise():
    assert len(HELD_OUT_PAIRS) >= 24
    for genre, instrument in HELD_OUT_PAIRS:
        assert genre in STARTER_GENRES and instrument in INSTRUMENTS
        spec = GENRES[genre]
        own = {*spec.bass, *spec.comp, *spec.pad, *spec.lead}
        assert instrument not in own, (genre, instrument)
        assert instrument not in borrowable(genre, "lead") and instrument not in borrowable(genre, "comp")
        assert any(instrument in borrowable(other, "lead") for other in STARTER_GENRES)


def test_held_out_transitions_are_between_genres_of_the_starter():
    assert len(HELD_OUT_TRANSITIONS) >= 24
    assert all(first != second and {first, second} <= set(STARTER_GENRES) for first, second in HELD_OUT_TRANSITIONS)
