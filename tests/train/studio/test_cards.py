"""Cards: reproducible, within their genre, exact in tempo."""

import pytest

from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.genres import GENRES


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
        assert all(instrument in getattr(spec, stem) for stem, instrument in card.cast.items())
        assert set(spec.core) <= set(card.stems)
        assert spec.brightness[0] - 0.05 <= card.brightness <= spec.brightness[1] + 0.05
        assert 0 <= card.density <= 1


def test_tempo_is_whole_in_codec_frames():
    card = sample_card(0, genre="techno", seconds=30.0)
    assert (card.frames_per_beat, card.bpm, card.beat_samples) == (12, 125.0, 23040)
    assert card.samples == 1_440_000
    assert card.bars == 16  # 15.6 bars fit; the last is cut short


@pytest.mark.parametrize("arguments", [{"genre": "polka"}, {"genre": "rock", "seconds": 0.0},
                                       {"genre": "rock", "seconds": float("nan")}])  # fmt: skip
def test_wrong_requests_are_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        sample_card(0, **arguments)
