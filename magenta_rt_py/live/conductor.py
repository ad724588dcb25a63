"""Conductor: who sets the tempo - a number, a person's taps, another machine's MIDI clock - and where the transport is.

Stateful; one thread uses it. Every change takes effect at the first frame that may still change; the past keeps its beats.
"""

from __future__ import annotations

from magenta_rt_py.live import tap
from magenta_rt_py.live.transport import TempoSource, Transport, start

__all__ = ["Conductor"]

FRAME_SAMPLES = 1920
REMEMBERED_FRAMES = 30 * 60 * 25
"""Half an hour of tempo, for rewinds."""
IN_STEP_BEATS = 0.005
"""A machine that is followed is met so closely: 2.5 ms at 120 bpm. Less is jitter, and every correction is remembered."""
SAME_TEMPO = 0.0005
"""Tempos that differ by this part are the same."""


class Conductor:
    """Keeps the transport.

    Attributes:
      transport: beat and tempo of every frame.
    """

    def __init__(self, bpm: float | int, *, beats_per_bar: int = 4) -> None:
        """On beat 0 at frame 0."""
        self.transport: Transport = start(bpm, beats_per_bar=beats_per_bar)
        self._taps = tap.init_state()
        self._is_following = False

    def set_bpm(self, bpm: float | int, frame: int) -> None:
        """A number, from a frame on.

        Raises:
          ValueError: unless 20 <= bpm <= 400.
        """
        if bpm != self.transport.bpm_at(frame) or self.transport.source is not TempoSource.INTERNAL:
            self.transport = self.transport.with_bpm(bpm, frame)

    def set_beats_per_bar(self, beats: int) -> None:
        """Another bar length, from beat 0 on."""
        self.transport = Transport(points=self.transport.points, beats_per_bar=beats, source=self.transport.source)

    def tap(self, sample: int, frame: int) -> float | None:
        """A tap on the beat.

        Args:
          sample: stream sample that was heard.
          frame: first frame that may change.
        Returns:
          the tempo, once there are two taps: from `frame` on the music goes by it, in phase with the taps.
        """
        last = self._taps.times[-1] if self._taps.times else sample
        self._taps, estimate = tap.step(self._taps, max(sample, last))
        if estimate is None:
            return None
        bpm = min(max(estimate.bpm, 20.0), 400.0)
        # The beat that was tapped is the nearest beat of the music there; where it is at `frame`, by the new tempo:
        tapped = round(self.transport.beat_at(estimate.beat_sample / FRAME_SAMPLES))
        beat = tapped + (frame - estimate.beat_sample / FRAME_SAMPLES) * bpm / 1500.0
        moved = self.transport.relocated(beat, frame).with_bpm(bpm, frame, source=TempoSource.TAPPED)
        self.transport = moved
        return bpm

    def nudge(self, beats: float, frame: int) -> None:
        """Moves the music by some beats at a frame: +1 is one beat on."""
        self.transport = self.transport.relocated(self.transport.beat_at(frame) + beats, frame)

    def downbeat(self, sample: int, frame: int) -> None:
        """The beat nearest to what was heard at a stream sample is the first of a bar."""
        position = self.transport.bar_position(sample / FRAME_SAMPLES)
        self.nudge(-float(round(position.beat)) % self.transport.beats_per_bar, frame)

    def follow(self, frame: int, *, beat: float | int, bpm: float | int) -> None:
        """One step of following another machine.

        Args:
          frame: the first frame that may change.
          beat: where the other machine will be when this frame is heard.
          bpm: its tempo; outside 20 .. 400 it is not followed.
        """
        if not 20.0 <= bpm <= 400.0:
            return
        now = self.transport
        if now.source is TempoSource.MIDI_CLOCK and abs(beat - now.beat_at(frame)) < IN_STEP_BEATS:
            if abs(now.bpm_at(frame) / bpm - 1.0) < SAME_TEMPO:
                return
            moved = now.with_bpm(bpm, frame, source=TempoSource.MIDI_CLOCK)
        else:
            moved = now.following(frame, beat=beat, bpm=bpm)
        self.transport = moved.without_past(frame - REMEMBERED_FRAMES)
