"""Modes, chords in Roman numerals, and where on the keyboard to put them."""

from typing import NamedTuple

NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

MODES = {  # semitones above the root
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}

_NUMERALS = {"i": 0, "ii": 1, "iii": 2, "iv": 3, "v": 4, "vi": 5, "vii": 6}


class Chord(NamedTuple):
    """A chord of a key.

    name: for example "F#m7".
    root: pitch class, 0..11.
    tones: pitch classes from the root upwards.
    """

    name: str
    root: int
    tones: tuple[int, ...]


def parse_chord(numeral: str, *, key: int, mode: str) -> Chord:
    """Reads a Roman numeral in a key.

    Capitals have a major third, small letters a minor one; a trailing 7 or 9 adds the scale's own seventh (and ninth).

    Args:
      numeral: such as "i", "VI" or "ii7".
      key: pitch class of the tonic, 0..11.
      mode: a key of MODES.
    Raises:
      ValueError: if the numeral is not one of i..vii with an optional 7 or 9.
    """
    scale = MODES[mode]
    letters = numeral.rstrip("79")
    if letters.lower() not in _NUMERALS:
        raise ValueError(f"got chord {numeral!r}, expected a Roman numeral i..vii with an optional 7 or 9")
    degree = _NUMERALS[letters.lower()]

    def above(steps: int) -> int:
        return (scale[(degree + steps) % 7] - scale[degree]) % 12

    minor = letters.islower()
    fifth = above(4)
    intervals = [0, 3 if minor else 4, fifth]
    if numeral.endswith(("7", "9")):
        intervals.append(above(6))
    if numeral.endswith("9"):
        intervals.append(above(1))
    root = (key + scale[degree]) % 12
    name = NOTE_NAMES[root] + ("dim" if fifth == 6 else "m" if minor else "")
    if len(intervals) > 3:
        name += ("maj" if intervals[3] == 11 and not minor else "") + numeral[-1]
    return Chord(name, root, tuple((root + interval) % 12 for interval in intervals))


def nearest_pitch(pitch_class: int, centre: int) -> int:
    """The MIDI pitch of this pitch class nearest to `centre` (a tritone goes down)."""
    return centre + (pitch_class - centre + 6) % 12 - 6


def voicing(chord: Chord, centre: int, *, power: bool = False) -> tuple[int, ...]:
    """Pitches for a chord around `centre`, lowest first; `power` gives root, fifth and octave only."""
    if power:
        root = nearest_pitch(chord.root, centre)
        return (root, root + 7, root + 12)
    return tuple(sorted(nearest_pitch(tone, centre) for tone in chord.tones))


def scale_pitches(*, key: int, mode: str, low: int, high: int) -> list[int]:
    """The scale's pitches from `low` to `high`, both included, upwards."""
    return [pitch for pitch in range(low, high + 1) if (pitch - key) % 12 in MODES[mode]]
