"""Comping: the figure, its turn at the end of a phrase, and pads that hold."""

import dataclasses

import pytest

from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.comping import TURNS, write_comp, write_pad
from magenta_rt_py.train.studio.harmony import parse_chord

CHORDS = [parse_chord("I", key=0, mode="major")] * 32


def bars(turn, **changes):
    """The comp's notes by bar: (beat in the bar, pitch)."""
    card = dataclasses.replace(sample_card(1, genre="house"), comp_turn=turn, comp_figure="x--x--x-x---x---",
                               cast={"comp": "bright piano", "pad": "strings"}, **changes)  # fmt: skip
    found = [[] for _ in range(8)]
    for note in write_comp(card, CHORDS):
        found[int(note.beat) // 4].append((note.beat % 4, note.pitch))
    return found


@pytest.mark.parametrize("turn", TURNS)
def test_bars_are_alike_but_for_the_last_of_a_phrase(turn):
    found = bars(turn)
    assert found[0] == found[1] == found[2] == found[4] == found[5] == found[6]
    assert found[3] == found[7]
    assert (found[3] == found[0]) == (turn == "same")


def test_turns_do_what_they_say():
    plain = bars("same")[3]
    assert bars("thin")[3] == [note for note in plain if note[0] < 2]
    assert [beat for beat, _ in bars("lift")[3]] == [beat for beat, _ in plain]
    assert min(pitch for _, pitch in bars("lift")[3]) > min(pitch for _, pitch in plain)
    other = bars("other")[3]
    assert [note for note in other if note[0] < 2] == [note for note in plain if note[0] < 2]
    assert [note for note in other if note[0] >= 2] != [note for note in plain if note[0] >= 2]


def test_a_two_bar_loop_turns_in_its_last_pass():
    found = bars("thin", loop_beats=8)
    assert [len(bar) > 0 for bar in found] == [True, True, True, False, True, True, True, False]


def test_digits_arpeggiate():
    card = dataclasses.replace(sample_card(1, genre="house"), comp_figure="0...1...2...4...", comp_turn="same",
                               cast={"comp": "bright piano"})  # fmt: skip
    pitches = [note.pitch for note in write_comp(card, CHORDS[:4])]
    assert pitches[0] < pitches[1] < pitches[2] < pitches[3] == pitches[0] + 12


def test_a_pad_holds_each_chord_until_the_next():
    card = dataclasses.replace(sample_card(1, genre="house"), cast={"pad": "strings"})
    notes = write_pad(card, CHORDS[:8])
    assert {(note.beat, note.beats) for note in notes} == {(0.0, 4.0), (4.0, 4.0)}
    assert {note.pitch % 12 for note in notes} == {0, 4, 7}
