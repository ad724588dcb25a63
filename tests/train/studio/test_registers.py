"""Registers: every instrument has a compass, melodies are put into it, and basses are told from the rest."""

import pytest

from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.registers import compass, fit_centre, is_bass, is_polyphonic


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_instrument_has_an_octave_and_more(name):
    low, high = compass(name)
    assert 20 < low < high - 14 and high <= 108
    assert low < fit_centre(name, 0) <= fit_centre(name, 127) < high


def test_centres_move_only_as_far_as_they_must():
    assert fit_centre("flute", 72) == 72
    assert fit_centre("flute", 40) == 69
    assert fit_centre("cello", 90) == 65


def test_what_genres_cast_as_a_bass_alone_is_a_bass():
    upper = {name for spec in GENRES.values() for name in (*spec.comp, *spec.pad, *spec.lead)}
    alone = {name for spec in GENRES.values() for name in spec.bass} - upper
    assert {name for name in alone if not is_bass(name)} <= {"trombone", "tuba", "bassoon"}
    assert not is_bass("bassoon") and not is_bass("flute") and is_bass("contrabass")


def test_one_player_plays_chords_on_keys_and_strings_only():
    assert all(is_polyphonic(name) for name in ("grand piano", "acoustic guitar", "harp", "warm pad"))
    assert not any(is_polyphonic(name) for name in ("flute", "trumpet", "violin", "sub bass"))
