"""Cards: reproducible, within their genre, exact in tempo, with a guest now and then."""

import dataclasses

import pytest

from magenta_rt_py.train.studio.cards import KINDS, sample_card
from magenta_rt_py.train.studio.form import FORMS
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.registers import is_polyphonic


def test_the_same_seed_draws_the_same_card():
    assert sample_card(7, genre="funk") == sample_card(7, genre="funk")
    assert sample_card(7, genre="funk") != sample_card(8, genre="funk")


@pytest.mark.parametrize("genre", GENRES)
def test_cards_stay_within_their_genre(genre):
    spec = GENRES[genre]
    for seed in range(20):
        card = sample_card(seed, genre=genre)
        assert card.frames_per_beat in spec.frames_per_beat
        assert (card.mode, " ".join(card.chords)) in spec.chords
        assert all(card.cast[stem] in getattr(spec, stem) for stem in card.cast if stem in ("bass", "pad"))
        assert set(card.cast.values()) <= set(INSTRUMENTS)
        assert set(spec.core) <= set(card.stems)
        assert spec.brightness[0] - 0.05 <= card.brightness <= spec.brightness[1] + 0.05
        assert 0 <= card.density <= 1
        assert card.form in FORMS and card.form != "tutti"


def test_tempo_is_whole_in_codec_frames():
    card = sample_card(0, genre="techno", seconds=30.0)
    assert (card.frames_per_beat, card.bpm, card.beat_samples) == (12, 125.0, 23040)
    assert card.samples == 1_440_000
    assert card.bars == 16  # 15.6 bars fit; the last is cut short


@pytest.mark.parametrize("genre", GENRES)
def test_a_soloist_is_one_instrument_on_stems_that_one_player_can_play(genre):
    for seed in range(12):
        card = sample_card(seed, genre=genre, kind="solo")
        (name,) = set(card.cast.values())
        assert "drums" not in card.stems
        assert len(card.cast) == 1 or is_polyphonic(name)
        assert name in {*GENRES[genre].bass, *GENRES[genre].comp, *GENRES[genre].pad, *GENRES[genre].lead}


def test_a_stem_piece_is_one_stem_of_the_arrangement_of_the_same_seed():
    drawn = set()
    for seed in range(60):
        whole, alone = (sample_card(seed, genre="disco", kind=kind) for kind in ("full", "stem"))
        (stem,) = alone.stems
        drawn.add(stem)
        assert stem in whole.stems and alone.cast == {name: whole.cast[name] for name in alone.cast}
        unchanged = dataclasses.replace(alone, kind="full", cast=whole.cast, drums=True)
        assert unchanged == whole
    assert drawn == {"drums", "bass", "comp", "pad", "lead"}


@pytest.mark.parametrize("arguments", [{"genre": "polka"}, {"genre": "rock", "seconds": 0.0},
                                       {"genre": "rock", "kind": "duo"},
                                       {"genre": "rock", "seconds": float("nan")}])  # fmt: skip
def test_wrong_requests_are_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        sample_card(0, **arguments)
    assert KINDS == ("full", "solo", "stem")
