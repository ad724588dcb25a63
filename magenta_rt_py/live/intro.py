"""Intro: count-in and intro loops, before the model plays along.

    beat      0        4                     36
              | count-in | loop | loop | loop | loop | playing ...
    metronome   on         on                          as chosen
    performer   unheard    mixed in                    mixed in
    model       silent     silent, not in the mix      as chosen

All by beat, so that a change of tempo moves the end of the intro with the music. Pure, and without state.
Source: the released notebook's intro, as facts: own sound out of the mix until the loops are over, then 0.95.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import NamedTuple

__all__ = ["Intro", "Levels", "Phase", "levels_at", "phase_at"]

TOLERANCE_BEATS = 1e-9  # beat positions are sums of floats


class Phase(enum.Enum):
    """Where in its beginning a performance is."""

    COUNT_IN = "count-in"
    INTRO = "intro"
    PLAYING = "playing"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Intro:
    """How a performance with injection begins."""

    start_beat: float = 0.0
    """Position of the transport at which the count-in begins, in beats."""
    count_in_beats: int = 4
    """Clicks before the performer is heard, 0 .. 64."""
    loops: int = 4
    """Loops that the performer plays alone, 0 .. 64 (released: 1 .. 5, default 4)."""
    beats_per_loop: int = 8
    """Length of one, 1 .. 64 beats (released default: 8)."""

    def __post_init__(self) -> None:
        counts = (self.count_in_beats, self.loops, self.beats_per_loop - 1)
        if not all(0 <= count <= 64 for count in counts) or self.beats_per_loop > 64:
            raise ValueError(
                f"an intro of {self.count_in_beats} beats and {self.loops} loops of {self.beats_per_loop} beats; give "
                "0 .. 64 beats, 0 .. 64 loops and 1 .. 64 beats a loop"
            )


class Levels(NamedTuple):
    """Amplitude factors of a performance's parts; 0 is off."""

    input_gain: float
    """The performer, in the mix the model hears."""
    feedback: float
    """The model's own sound, in the same mix."""
    model_volume: float
    """The model's sound, in what is played."""
    metronome: float
    """The metronome, on its own output."""


def phase_at(intro: Intro, beat: float) -> Phase:
    """The phase at a position of the transport, in beats; before the count-in begins it counts as count-in."""
    since = beat - intro.start_beat + TOLERANCE_BEATS
    if since < intro.count_in_beats:
        return Phase.COUNT_IN
    return Phase.INTRO if since < intro.count_in_beats + intro.loops * intro.beats_per_loop else Phase.PLAYING


def levels_at(intro: Intro, beat: float, chosen: Levels, *, click: float = 0.25) -> Levels:
    """The levels at a position: those chosen while playing, and the intro's own before.

    Args:
      intro: how the performance begins.
      beat: position of the transport, in beats.
      chosen: what the performer chose.
      click: the metronome's amplitude during count-in and intro, unless a louder one is chosen.
    """
    phase = phase_at(intro, beat)
    if phase is Phase.PLAYING:
        return chosen
    heard = chosen.input_gain if phase is Phase.INTRO else 0.0
    return Levels(heard, 0.0, 0.0, max(click, chosen.metronome))
