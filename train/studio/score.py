"""What the composer hands to the renderer: notes and drum hits in beats, and what is true at each beat."""

from dataclasses import dataclass
from typing import NamedTuple

BEATS_PER_BAR = 4  # every genre here counts in four
FRAME_SAMPLES = 1920  # one 25 Hz codec frame at 48 kHz
SAMPLE_RATE = 48000  # Hz
FRAMES_PER_MINUTE = 1500  # 25 Hz * 60 s: bpm = 1500 / frames_per_beat

STEMS = ("drums", "bass", "comp", "pad", "lead")
PITCHED_STEMS = STEMS[1:]


class Note(NamedTuple):
    """One pitched note.

    beat: start, in beats from the start of the piece.
    beats: how long the key is held, in beats.
    pitch: MIDI number, 60 is middle C.
    velocity: linear gain, 0..1.
    """

    beat: float
    beats: float
    pitch: int
    velocity: float


class Hit(NamedTuple):
    """One drum hit: start in beats, the voice's name in the kit (or fills.RISER), linear gain 0..1."""

    beat: float
    voice: str
    velocity: float


@dataclass(frozen=True, kw_only=True)
class Score:
    """A composed piece."""

    drums: tuple[Hit, ...]  # in order of time
    notes: dict[str, tuple[Note, ...]]  # by pitched stem; a stem that never plays is absent
    chords: tuple[str, ...]  # chord name at each beat
    active: dict[str, tuple[bool, ...]]  # by stem: does the arrangement have it on at this beat

    @property
    def beats(self) -> int:
        """Length in beats."""
        return len(self.chords)

    def sounding(self) -> tuple[str, ...]:
        """Stems that play at least one note, in the order of STEMS."""
        return tuple(stem for stem in STEMS if (self.drums if stem == "drums" else self.notes.get(stem)))
