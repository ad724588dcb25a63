"""Bass: chord tones by letter, and notes that lead into the next chord."""

import dataclasses

import pytest

from magenta_rt_py.train.studio.bass import APPROACHES, approaches_of, write_bass
from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.harmony import parse_chord


def written(approach, *, figure="R...R...R...R...", chords=("I", "IV")):
    """Eight bars of bass on C major chords, one a bar."""
    card = dataclasses.replace(sample_card(1, genre="folk"), key=0, mode="major", approach=approach, bass_figure=figure,
                               cast={"bass": "upright bass"})  # fmt: skip
    harmony = [parse_chord(numeral, key=0, mode="major") for numeral in chords]
    return write_bass(card, [harmony[beat // 4 % len(harmony)] for beat in range(32)])


def test_letters_are_chord_tones():
    notes = written("none", figure="R...T...F...O...", chords=("I", "V"))[:8]
    assert [note.pitch % 12 for note in notes] == [0, 4, 7, 0, 7, 11, 2, 7]
    assert notes[3].pitch == notes[0].pitch + 12


@pytest.mark.parametrize(("approach", "interval"), [("below", -1), ("scale", -1), ("fifth", -5), ("octave", 12)])
def test_the_last_note_of_a_bar_leads_to_the_next_root(approach, interval):
    notes = written(approach)
    assert notes[3].pitch - notes[4].pitch == interval  # C to F: E is a half step and a scale step below
    assert [note.pitch for note in notes[:3]] == [notes[0].pitch] * 3


def test_on_one_chord_only_the_phrase_ends_with_a_turn():
    notes = written("fifth", chords=("I",))
    last = [notes[4 * bar + 3].pitch - notes[0].pitch for bar in range(8)]
    assert last == [0, 0, 0, -5, 0, 0, 0, -5]


def test_a_walk_takes_two_steps_up_to_the_root():
    notes = written("walk", figure="R---------------")
    turn = [note for note in notes if 12 <= note.beat < 16]
    assert [note.beat for note in turn] == [12.0, 15.0, 15.5]
    target = next(note for note in notes if note.beat == 16).pitch
    assert [note.pitch - target for note in turn[1:]] == [-3, -1]  # A, B, C
    assert turn[0].beat + turn[0].beats <= 15.0


def test_synthesizers_do_not_walk():
    assert set(approaches_of("acid bass")) <= {"none", "octave", "fifth"}
    assert set(approaches_of("upright bass")) | {"octave"} == set(APPROACHES)
