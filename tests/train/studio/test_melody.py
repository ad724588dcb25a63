"""Melodies: phrase form, motifs that come back on other chords, chord tones where it matters, endings on the root."""

import dataclasses
import itertools

import pytest

from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.composer import compose
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.harmony import parse_chord
from magenta_rt_py.train.studio.melody import MELODY_FORMS, write_lead
from magenta_rt_py.train.studio.registers import compass


def lead_card(melody, *, bars=1, chords=("I",), instrument="flute", seed=5, genre="folk"):
    """A card whose lead plays this form."""
    return dataclasses.replace(
        sample_card(seed, genre=genre), key=0, mode="major", chords=chords, cast={"lead": instrument}, melody=melody,
        motif_bars=bars, form="steady", lead_figure="x---x-x-x-x-x---x-x-x---x-------", frames_per_beat=12,
        samples=1_440_000,
    )  # fmt: skip


def units(card, *, chord_beats=4):
    """The notes of each motif's length, from its start: (beat, pitch)."""
    harmony = [parse_chord(numeral, key=0, mode="major") for numeral in card.chords]
    chords = [harmony[beat // chord_beats % len(harmony)] for beat in range(64)]
    length = 4 * card.motif_bars
    found = [[] for _ in range(64 // length)]
    for note in write_lead(card, chords):
        found[int(note.beat) // length].append((note.beat % length, note.pitch))
    return found


@pytest.mark.parametrize("bars", [1, 2])
def test_on_one_chord_the_same_letter_is_the_same_music(bars):
    a, b, c, d = units(lead_card("ABAC", bars=bars))[:4]
    assert a == c and a != b
    assert [beat for beat, _ in a] == [beat for beat, _ in d] and a != d
    first, second, bridge, last = units(lead_card("AABA", bars=bars))[:4]
    assert first == second == last[:-1] + first[-1:] and bridge != first


def test_a_motif_moves_with_the_chord():
    first, second = units(lead_card("riff", chords=("I", "IV")))[:2]
    assert [beat for beat, _ in first] == [beat for beat, _ in second]
    assert first != second
    assert [pitch % 12 in (0, 4, 7) for beat, pitch in first if beat % 2 == 0] == [True, True]
    assert [pitch % 12 in (5, 9, 0) for beat, pitch in second if beat % 2 == 0] == [True, True]


@pytest.mark.parametrize("melody", MELODY_FORMS)
def test_phrases_end_on_the_root(melody):
    letters = MELODY_FORMS[melody]
    for place, notes in enumerate(units(lead_card(melody, seed=9))):
        letter = letters[place % len(letters)]
        assert bool(notes) == (letter != "-")
        if letter.endswith("'"):
            assert notes[-1][1] % 12 == 0


def test_the_second_time_round_varies_a_little():
    found = units(lead_card("riff"))
    assert found[4] != found[0] and len(found[4]) == len(found[0]) + 1
    assert found[8] == found[0]


@pytest.mark.parametrize("genre", [name for name, spec in GENRES.items() if spec.lead_figures])
def test_melodies_stay_in_the_instruments_compass_and_near_its_scale(genre):
    steps = []
    for seed in range(8):
        card = sample_card(seed, genre=genre)
        notes = compose(card).notes.get("lead", ())
        if notes:
            low, high = compass(card.cast["lead"])
            assert all(low - 12 <= note.pitch <= high + 12 for note in notes)
            steps += [abs(two.pitch - one.pitch) for one, two in itertools.pairwise(notes)]
    assert sum(step <= 4 for step in steps) >= 0.6 * len(steps), "mostly steps, leaps now and then"
    assert max(steps) <= 19  # an octave and a fifth, from one motif to the next
