"""Chords and pitches against a musician's knowledge."""

import pytest

from magenta_rt_py.train.studio.harmony import nearest_pitch, parse_chord, scale_pitches, voicing

C, E, G = 0, 4, 7


@pytest.mark.parametrize(
    ("numeral", "key", "mode", "name", "tones"),
    [
        ("I", C, "major", "C", (0, 4, 7)),
        ("ii7", C, "major", "Dm7", (2, 5, 9, 0)),
        ("V7", C, "major", "G7", (7, 11, 2, 5)),
        ("IV7", C, "major", "Fmaj7", (5, 9, 0, 4)),
        ("VI", 9, "minor", "F", (5, 9, 0)),
        ("i9", 9, "minor", "Am9", (9, 0, 4, 7, 11)),
        ("IV7", 2, "dorian", "G7", (7, 11, 2, 5)),
        ("II", E, "phrygian", "F", (5, 9, 0)),
        ("ii", C, "minor", "Ddim", (2, 5, 8)),
    ],
)
def test_roman_numerals(numeral, key, mode, name, tones):
    chord = parse_chord(numeral, key=key, mode=mode)
    assert (chord.name, chord.root, chord.tones) == (name, tones[0], tones)


@pytest.mark.parametrize("numeral", ["", "viii", "X7", "7"])
def test_a_wrong_numeral_is_refused(numeral):
    with pytest.raises(ValueError, match=r"expected a Roman numeral"):
        parse_chord(numeral, key=0, mode="major")


def test_nearest_pitch_stays_within_a_tritone():
    for pitch_class in range(12):
        for centre in (30, 60, 61):
            pitch = nearest_pitch(pitch_class, centre)
            assert pitch % 12 == pitch_class and -6 <= pitch - centre <= 5


def test_voicings_hold_the_chord_near_the_centre():
    chord = parse_chord("ii7", key=C, mode="major")
    pitches = voicing(chord, 60)
    assert {pitch % 12 for pitch in pitches} == set(chord.tones)
    assert list(pitches) == sorted(pitches)
    assert voicing(parse_chord("V", key=C, mode="major"), 45, power=True) == (43, 50, 55)


def test_a_scale_goes_up_from_end_to_end():
    assert scale_pitches(key=C, mode="major", low=59, high=72) == [59, 60, 62, 64, 65, 67, 69, 71, 72]
