"""The genre table: every string can be read, every name exists, and the genres keep their promises."""

import itertools

import pytest

from magenta_rt_py.train.studio.bass import DEGREES
from magenta_rt_py.train.studio.casting import borrowable
from magenta_rt_py.train.studio.drums import KITS
from magenta_rt_py.train.studio.effects import ROOMS
from magenta_rt_py.train.studio.genres import FINETUNE_GENRES, GENRES, STARTER_GENRES
from magenta_rt_py.train.studio.grooves import STEP_VELOCITY
from magenta_rt_py.train.studio.harmony import MODES, parse_chord
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.patches import PATCHES
from magenta_rt_py.train.studio.score import PITCHED_STEMS, STEMS

TEMPOS = {9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20}  # codec frames a beat that models may meet


def test_there_are_genres_to_train_on_and_others_to_finetune_on():
    assert STARTER_GENRES[:12] == ("techno", "house", "lofi hip hop", "drum and bass", "synthwave", "rock", "disco", "trap",
                                   "solo piano", "ambient", "chiptune", "cinematic")  # fmt: skip
    assert len(STARTER_GENRES) >= 40 and len(FINETUNE_GENRES) == 2
    assert tuple(GENRES) == STARTER_GENRES + FINETUNE_GENRES
    assert {tempo for genre in GENRES.values() for tempo in genre.frames_per_beat} <= TEMPOS


def test_there_are_many_instruments_and_every_one_is_cast():
    assert len(INSTRUMENTS) >= 64
    cast = {name for genre in GENRES.values() for stem in PITCHED_STEMS for name in getattr(genre, stem)}
    borrowed = {name for genre in GENRES for name in borrowable(genre, "lead")}
    assert cast | borrowed == set(INSTRUMENTS)
    for name, instrument in INSTRUMENTS.items():
        assert 4 <= len(set(instrument.words)) <= 8, name


@pytest.mark.parametrize("name", GENRES)
def test_figures_use_known_letters_and_fit_their_bars(name):
    genre = GENRES[name]
    figures = {"bass": genre.bass_figures, "comp": genre.comp_figures, "lead": genre.lead_figures}
    letters = {"bass": {*DEGREES, "O", "A"}, "comp": {"x", *"0123456789"}, "lead": {"x"}}
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


def test_no_two_genres_are_alike():
    """Of seven things that one hears, two genres share at most three."""
    heard = {
        name: (genre.kit, genre.drums, set(genre.bass), genre.bass_figures, set(genre.comp), genre.comp_figures,
               set(genre.lead)) for name, genre in GENRES.items()
    }  # fmt: skip
    for (first, its), (second, others) in itertools.combinations(heard.items(), 2):
        shared = sum(bool(one) and one == other for one, other in zip(its, others, strict=True))
        assert shared <= 3, (first, second)


def test_pure_genres_are_pure():
    piano = GENRES["solo piano"]
    assert {*piano.bass, *piano.comp, *piano.pad, *piano.lead} == {"grand piano"} and piano.kit is None
    chip = GENRES["chiptune"]
    assert all(name.startswith("chip") for name in (*chip.bass, *chip.comp, *chip.pad, *chip.lead)) and chip.kit == "chip"
    assert GENRES["ambient"].kit is None
