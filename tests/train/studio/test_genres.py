"""The genre table: every string can be read, every name exists, and the genres keep their promises."""

import pytest

from magenta_rt_py.train.studio.composer import BASS_DEGREES, STEP_VELOCITY
from magenta_rt_py.train.studio.drums import KITS
from magenta_rt_py.train.studio.effects import ROOMS
from magenta_rt_py.train.studio.genres import GENRES, STARTER_GENRES
from magenta_rt_py.train.studio.harmony import MODES, parse_chord
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.score import PITCHED_STEMS, STEMS
from magenta_rt_py.train.studio.synth import PATCHES


def test_the_starters_genres_come_first_and_in_order():
    assert STARTER_GENRES == ("techno", "house", "lofi hip hop", "drum and bass", "synthwave", "rock", "disco", "trap",
                              "solo piano", "ambient", "chiptune", "cinematic")  # fmt: skip
    assert tuple(GENRES)[:12] == STARTER_GENRES
    assert len(GENRES) == 20


@pytest.mark.parametrize("name", GENRES)
def test_figures_use_known_letters_and_fit_their_bars(name):
    genre = GENRES[name]
    figures = {"bass": genre.bass_figures, "comp": genre.comp_figures, "lead": genre.lead_figures}
    letters = {"bass": {*BASS_DEGREES, "O", "A"}, "comp": {"x", *"0123456789"}, "lead": {"x"}}
    for stem, choices in figures.items():
        for figure in choices:
            assert set(figure) <= letters[stem] | {"-", "."}, (stem, figure)
            assert len(figure) in {12, 16, 24, 32, 64}, (stem, figure)
            assert figure[0] != "-", figure
    for groove in genre.drums:
        for voice, steps in groove.items():
            assert set(steps) <= {*STEP_VELOCITY, "."}, (voice, steps)
            assert len(steps) in {12, 16, 32}
    lengths = {len(steps) for groove in genre.drums for steps in groove.values()}
    assert len(lengths) <= 1, f"grooves of one genre share a grid, got {lengths}"


@pytest.mark.parametrize("name", GENRES)
def test_names_in_the_table_exist(name):
    genre = GENRES[name]
    for stem in PITCHED_STEMS:
        assert set(getattr(genre, stem)) <= set(INSTRUMENTS), stem
    voices = {voice for groove in (*genre.drums, genre.fill or {}) for voice in groove}
    if genre.crash:
        voices.add("crash")
    assert voices <= set(KITS.get(genre.kit or "", {}))
    assert genre.room in ROOMS
    assert set(genre.core) <= set(STEMS) and genre.core
    assert set(genre.levels_db) == set(STEMS)
    for mode, numerals in genre.chords:
        assert mode in MODES
        for numeral in numerals.split():
            parse_chord(numeral, key=0, mode=mode)


def test_every_instrument_can_be_played():
    for name, instrument in INSTRUMENTS.items():
        assert (instrument.program is None) != (instrument.patch is None), name
        assert instrument.patch is None or instrument.patch in PATCHES
        assert instrument.program is None or 0 <= instrument.program < 128


def test_pure_genres_are_pure():
    piano = GENRES["solo piano"]
    assert {*piano.bass, *piano.comp, *piano.pad, *piano.lead} == {"grand piano"} and piano.kit is None
    chip = GENRES["chiptune"]
    assert all(name.startswith("chip") for name in (*chip.bass, *chip.comp, *chip.pad, *chip.lead)) and chip.kit == "chip"
    assert GENRES["ambient"].kit is None
