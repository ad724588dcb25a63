"""Transport: which beat and bar every stream frame is on. Pure: every change gives a new transport."""

from __future__ import annotations

import bisect
import dataclasses
import enum
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

SLOWEST_BPM = 20.0
FASTEST_BPM = 400.0
FRAME_RATE_HZ = 25.0
"""Codec frames a second."""
CATCH_UP_BEATS = 2.0
"""Beats in which a slaved transport removes an error of phase."""
MOST_BEND = 0.08
"""Share of the tempo that it bends at most to do so: heard as a lean, not as a jump."""
JUMP_BEATS = 0.5
"""An error larger than this is not a drift but another place: the transport jumps there."""


class TempoSource(enum.Enum):
    """Who sets the tempo."""

    INTERNAL = "internal"
    TAPPED = "tapped"
    MIDI_CLOCK = "midi_clock"


class TempoPoint(NamedTuple):
    """From `frame` on, the music is at `beat` and goes on with `bpm`."""

    frame: float
    beat: float
    bpm: float


class BarPosition(NamedTuple):
    """A place in the music."""

    bar: int
    """Bars since the transport's beat 0; negative before it."""
    beat: float
    """Beats since the bar line, 0 .. beats_per_bar."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transport:
    """Tempo and position over the stream's time, as straight pieces.

    A change of tempo keeps the phase; only `relocated` and a slaved transport that has lost its place jump. Positions of
    frames gone by stay as they were, so that the context's clock can be told again.
    """

    points: tuple[TempoPoint, ...] = (TempoPoint(0.0, 0.0, 120.0),)
    """Where pieces begin, in order. The first also holds before its frame."""
    beats_per_bar: int = 4
    """Quarter notes in a bar, 1 .. 16. The language model's metrical clock knows bars of 4 only; others move bar lines for
    loops, count-ins and snapshots."""
    source: TempoSource = TempoSource.INTERNAL
    """Who set the tempo last."""

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("a transport without a tempo; give one TempoPoint at least")
        if isinstance(self.beats_per_bar, bool) or self.beats_per_bar not in range(1, 17):
            raise ValueError(f"beats_per_bar is {self.beats_per_bar!r}; give a whole number from 1 to 16")
        for point in self.points:
            check_bpm(point.bpm)

    def bpm_at(self, frame: float | int) -> float:
        """Tempo at a stream frame."""
        return self._point(frame).bpm

    def beat_at(self, frame: float | int) -> float:
        """Beats since beat 0 at a stream frame."""
        point = self._point(frame)
        return point.beat + (frame - point.frame) * beats_per_frame(point.bpm)

    def beats(self, frames: Num[np.ndarray, "frames"]) -> Float[np.ndarray, "frames"]:
        """`beat_at` for many frames: what the metrical clock's features are made of."""
        if len(self.points) == 1:  # nearly always
            point = self.points[0]
            return point.beat + (np.asarray(frames, np.float64) - point.frame) * beats_per_frame(point.bpm)
        starts = np.array([point.frame for point in self.points])
        which = np.maximum(np.searchsorted(starts, frames, side="right") - 1, 0)
        rates = np.array([beats_per_frame(point.bpm) for point in self.points])
        origins = np.array([point.beat for point in self.points])
        return origins[which] + (np.asarray(frames, np.float64) - starts[which]) * rates[which]

    def frame_at(self, beat: float | int) -> float:
        """The stream frame, with a fraction, at which the music is at a beat; the latest one if it was there twice."""
        for position in range(len(self.points) - 1, -1, -1):
            point = self.points[position]
            if beat >= point.beat or position == 0:
                frame = point.frame + (beat - point.beat) / beats_per_frame(point.bpm)
                later = self.points[position + 1 :]
                return frame if not later else min(frame, later[0].frame)
        raise AssertionError("a transport has a first point")

    def bar_position(self, frame: float | int) -> BarPosition:
        """Bar and beat at a stream frame."""
        beat = self.beat_at(frame)
        bar = math.floor(beat / self.beats_per_bar)
        return BarPosition(bar, beat - bar * self.beats_per_bar)

    def next_bar(self, frame: float | int, *, bars: int = 1) -> float:
        """The stream frame, with a fraction, of the first line of every `bars`-th bar that is not before `frame`."""
        length = self.beats_per_bar * bars
        beat = math.ceil(self.beat_at(frame) / length - 1e-9) * length
        return max(self.frame_at(float(beat)), frame)

    def with_bpm(self, bpm: float | int, at_frame: float | int, *, source: TempoSource = TempoSource.INTERNAL) -> Transport:
        """The same music, at another tempo from a frame on.

        Raises:
          ValueError: unless 20 <= bpm <= 400; this transport goes on as it was.
        """
        return self._from(at_frame, self.beat_at(at_frame), bpm, source)

    def relocated(self, beat: float | int, at_frame: float | int) -> Transport:
        """At a frame, jumps to a beat: a rewind, a nudge, a downbeat called out."""
        return self._from(at_frame, beat, self.bpm_at(at_frame), self.source)

    def following(self, at_frame: float | int, *, beat: float | int, bpm: float | int) -> Transport:
        """One step of a slaved transport: call it every few frames with what the master says.

        Small errors of phase are removed over two beats by bending the tempo, at most 8 %; large ones by a jump.

        Args:
          at_frame: the frame that is about to be made.
          beat: where the master will be then.
          bpm: the master's tempo.
        """
        error = beat - self.beat_at(at_frame)
        if abs(error) > JUMP_BEATS:
            return self._from(at_frame, beat, bpm, TempoSource.MIDI_CLOCK)
        bend = min(max(error / CATCH_UP_BEATS, -MOST_BEND), MOST_BEND)
        bent = min(max(bpm * (1.0 + bend), SLOWEST_BPM), FASTEST_BPM)
        return self._from(at_frame, self.beat_at(at_frame), bent, TempoSource.MIDI_CLOCK)

    def without_past(self, before_frame: float | int) -> Transport:
        """The transport without the pieces that were over before a frame: keeps a slaved one small."""
        first = max(bisect.bisect_right(self.points, before_frame, key=lambda point: point.frame) - 1, 0)
        return dataclasses.replace(self, points=self.points[first:])

    def _point(self, frame: float | int) -> TempoPoint:
        return self.points[max(bisect.bisect_right(self.points, frame, key=lambda point: point.frame) - 1, 0)]

    def _from(self, frame: float | int, beat: float | int, bpm: float | int, source: TempoSource) -> Transport:
        check_bpm(bpm)
        kept = tuple(point for point in self.points if point.frame < frame)
        return dataclasses.replace(self, points=(*kept, TempoPoint(frame, beat, bpm)), source=source)


def start(bpm: float | int, *, beats_per_bar: int = 4) -> Transport:
    """A transport that is on beat 0 at stream frame 0."""
    return Transport(points=(TempoPoint(0.0, 0.0, bpm),), beats_per_bar=beats_per_bar)


def beats_per_frame(bpm: float | int) -> float:
    """Beats that a codec frame lasts."""
    return bpm / 60.0 / FRAME_RATE_HZ


def check_bpm(bpm: float | int) -> None:
    """Refuses what is no tempo.

    Raises:
      ValueError: unless 20 <= bpm <= 400.
    """
    if not math.isfinite(bpm) or not SLOWEST_BPM <= bpm <= FASTEST_BPM:
        raise ValueError(f"bpm is {bpm!r}; give a number from {SLOWEST_BPM:g} to {FASTEST_BPM:g}")
