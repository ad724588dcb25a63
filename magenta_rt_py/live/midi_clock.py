"""MIDI clock: tempo and position from another machine's pulses, through jitter, lost pulses and changes of tempo."""

from __future__ import annotations

from collections import deque

import numpy as np

PULSES_PER_BEAT = 24
"""Source: MIDI 1.0, timing clock."""
PULSES_PER_SIXTEENTH = 6
"""A song position counts sixteenths."""
WINDOW_PULSES = 48
"""Two beats, over which jitter is averaged."""
SHORT_WINDOW_PULSES = 6
"""A sixteenth: what is left of the window after a change of tempo."""
LOST_SECONDS = 0.5
"""Without a pulse for so long, the master is lost (or very slow)."""
LEAST_DEVIATION_SECONDS = 0.004
"""Pulses that are all this far off on one side mean another tempo; less is jitter."""


class MidiClockFollower:
    """Follows one master (stateful; one thread uses it). Times are seconds of any steady clock.

    A straight line through the last two beats of pulses gives tempo and phase; when the newest sixteenth of pulses lies on
    one side of it, the tempo has changed, and the line starts anew from them. Between pulses, and when they stay out, the
    line goes on.

    Attributes:
      running: whether the master plays: after start or continue, until stop.
    """

    def __init__(self) -> None:
        """Waits for pulses."""
        self._pulses: deque[tuple[float, int]] = deque(maxlen=WINDOW_PULSES)
        self._next_count = 0
        self._line: tuple[float, float, float] | None = None
        self.running = False

    @property
    def locked(self) -> bool:
        """Whether there have been enough pulses for tempo and position."""
        return self._line is not None

    @property
    def bpm(self) -> float | None:
        """The master's tempo, also while it is stopped; None before it is known."""
        return None if self._line is None else 60.0 * self._line[2] / PULSES_PER_BEAT

    def is_lost(self, seconds: float) -> bool:
        """Whether the pulses have stayed out."""
        return not self._pulses or seconds - self._pulses[-1][0] > LOST_SECONDS

    def beat_at(self, seconds: float) -> float | None:
        """The master's position in beats since its start; None before it is known."""
        if self._line is None:
            return None
        origin, count, rate = self._line
        return (count + (seconds - origin) * rate) / PULSES_PER_BEAT

    def start(self) -> None:
        """The next pulse is beat 0."""
        self.song_position(0)
        self.running = True

    def resume(self) -> None:
        """MIDI "continue": the next pulse goes on where the song stopped, or was positioned."""
        self.running = True

    def stop(self) -> None:
        """The song stops; pulses may go on and keep the tempo."""
        self.running = False

    def song_position(self, sixteenths: int) -> None:
        """The next pulse of a running song is at this position."""
        shift = sixteenths * PULSES_PER_SIXTEENTH - self._next_count
        self._next_count += shift
        self._pulses = deque(((at, count + shift) for at, count in self._pulses), maxlen=WINDOW_PULSES)
        if self._line is not None:
            self._line = (self._line[0], self._line[1] + shift, self._line[2])

    def pulse(self, seconds: float) -> None:
        """A timing clock came.

        Args:
          seconds: when. Not after the next pulse.
        """
        if self.is_lost(seconds):
            self._pulses.clear()
        self._count_lost(seconds)
        if not self.running:  # the position stands still, the tempo is followed: earlier pulses move back instead
            self._pulses = deque(((at, count - 1) for at, count in self._pulses), maxlen=WINDOW_PULSES)
            self._next_count -= 1
        self._pulses.append((seconds, self._next_count))
        self._next_count += 1
        self._fit()

    def _count_lost(self, seconds: float) -> None:
        """After a long gap and a usual one, the long one hid pulses. (A long and a short one is a late pulse.)"""
        if self._line is None or len(self._pulses) < SHORT_WINDOW_PULSES:
            return
        gap = (self._pulses[-1][0] - self._pulses[-2][0]) * self._line[2]
        usual = (seconds - self._pulses[-1][0]) * self._line[2]
        expected = self._pulses[-1][1] - self._pulses[-2][1]
        hidden = round(gap) - expected
        if hidden > 0 and abs(gap - round(gap)) < 0.3 and 0.6 < usual < 1.4:
            at, count = self._pulses.pop()
            self._pulses.append((at, count + hidden))
            self._next_count += hidden

    def _fit(self) -> None:
        if len(self._pulses) < SHORT_WINDOW_PULSES:
            return
        if len(self._pulses) > 2 * SHORT_WINDOW_PULSES and self._line is not None:
            origin, count, rate = self._line
            newest = list(self._pulses)[-SHORT_WINDOW_PULSES:]
            off = np.array([at - (origin + (number - count) / rate) for at, number in newest])
            if np.all(off > LEAST_DEVIATION_SECONDS) or np.all(off < -LEAST_DEVIATION_SECONDS):
                self._pulses = deque(newest, maxlen=WINDOW_PULSES)
        times = np.array([at for at, _ in self._pulses])
        counts = np.array([number for _, number in self._pulses], float)
        middle = times - times.mean()
        spread = float(middle @ middle)
        if spread > 0:
            rate = float(middle @ (counts - counts.mean())) / spread
            if rate > 0:
                self._line = (float(times.mean()), float(counts.mean()), rate)
