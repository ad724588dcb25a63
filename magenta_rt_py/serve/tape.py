"""Tape: records what a page is sent and, beside it, its microphone, aligned sample for sample.

    written to the card    |--- a ---|--- b ---|--- c ---|--- d ---|
    main file                        |--- b ---|--- c ---|              from `start` to `stop`, bit for bit what was sent
    microphone file                  |~~~ b ~~~|~~~ c ~~~|              what was played while b, c were heard

A microphone's sound comes in later than what it was played to; its file waits for it, and holds silence where nothing came.
A `TapedCard` stands between the session and its card, so that a recording begins and ends at a sample.

Stateful. `write` and `hear` belong to the session's thread, the rest to any.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from magenta_rt_py.live.card import Captured, Card, CardStatus
from magenta_rt_py.live.recorder import Recorder

__all__ = ["Tape", "TapeResult", "TapedCard"]

SAMPLES_A_SECOND = 48_000
PATIENCE_SAMPLES = 8 * SAMPLES_A_SECOND
"""Sound of the microphone that is later than this is taken as silence: longer than the greatest lead."""
PIECE_SAMPLES = SAMPLES_A_SECOND


class TapeResult(NamedTuple):
    """What has become of a recording."""

    seconds: float
    """In the main file."""
    problem: str | None
    """Why it is not whole, in one line."""


class Tape:
    """One recording."""

    def __init__(self, path: Path, microphone_path: Path | None = None) -> None:
        """Starts with the next block that is written.

        Args:
          path: a new .flac file.
          microphone_path: another; None records no microphone.
        """
        self._lock = threading.Lock()
        self._main = Recorder(path)
        self._microphone = None if microphone_path is None else Recorder(microphone_path)
        self._has_ended = False
        self._recorded = 0
        self._heard = 0  # samples of the microphone's file
        # Opening -> place in the file of its device sample 0.
        self._origins: dict[int, int] = {}

    @property
    def seconds(self) -> float:
        """Recorded so far."""
        return self._recorded / SAMPLES_A_SECOND

    @property
    def problem(self) -> str | None:
        """Why it does not go on, in one line."""
        found = self._main.status.problem
        return found if found is not None or self._microphone is None else self._microphone.status.problem

    @property
    def is_caught_up(self) -> bool:
        """Whether the microphone's sound is in up to the end."""
        return self._microphone is None or self._heard >= self._recorded

    def write(self, opening: int, device_start: int, samples: Float[np.ndarray, "samples 2"]) -> None:
        """What is written to the card.

        Args:
          opening: of the card.
          device_start: device sample of the first one.
          samples: as they are sent.
        """
        with self._lock:
            if self._has_ended:
                return
            self._origins.setdefault(opening, self._recorded - device_start)
            self._main.write(samples)
            self._recorded += len(samples)
            self._fill(self._recorded - PATIENCE_SAMPLES)

    def hear(self, captured: Sequence[Captured]) -> None:
        """What came in."""
        with self._lock:
            if self._microphone is None:
                return
            for block in captured:
                origin = self._origins.get(block.opening)
                if origin is None:
                    continue
                place = origin + block.device_start
                first = max(0, self._heard - place)
                last = min(len(block.samples), self._recorded - place)
                if first >= last:
                    continue
                self._fill(place + first)
                samples = np.nan_to_num(block.samples[first:last], posinf=0.0, neginf=0.0)
                self._microphone.write(samples.astype(np.float32, copy=False))
                self._heard += last - first

    def end(self) -> None:
        """What is written from now on is not recorded; the microphone is still listened to."""
        with self._lock:
            self._has_ended = True

    def complete(self) -> TapeResult:
        """Completes the files; waits for the disk, up to 10 s each. Once."""
        self.end()
        with self._lock:
            self._fill(self._recorded)
            microphone, self._microphone = self._microphone, None
        results = [recorder.stop() for recorder in (self._main, microphone) if recorder is not None]
        problem = next((result.problem for result in results if result.problem is not None), None)
        lost = results[0].lost_samples
        if problem is None and lost:
            problem = f"the disk was too slow: {lost / SAMPLES_A_SECOND:.1f} s are silent"
        return TapeResult(results[0].recorded_samples / SAMPLES_A_SECOND, problem)

    def _fill(self, until: int) -> None:
        """Silence in the microphone's file up to a place."""
        while self._microphone is not None and self._heard < until:
            count = min(until - self._heard, PIECE_SAMPLES)
            self._microphone.write(np.zeros((count, 2), np.float32))
            self._heard += count


class TapedCard:
    """A `live.card.Card` around another, with a place for a tape.

    Attributes:
      tape: what records; None records nothing. Set from any thread.
    """

    def __init__(self, card: Card, *, on_write: Callable[[], None] = lambda: None) -> None:
        """No tape.

        Args:
          card: where everything goes.
          on_write: told of each write, on the session's thread.
        """
        self._card, self._on_write = card, on_write
        self.block_samples, self.input_channels, self.has_cue = card.block_samples, card.input_channels, card.has_cue
        self.tape: Tape | None = None
        self._opening, self._written = card.opening, 0

    @property
    def opening(self) -> int:
        """See Card."""
        return self._card.opening

    @property
    def status(self) -> CardStatus:
        """See Card."""
        return self._card.status

    @property
    def position(self) -> tuple[int, int]:
        """The opening, and the device sample that is played now."""
        return self._opening, max(0, self._written - self._card.queued_samples())

    def wait_for_room(self, samples: int, timeout_seconds: float) -> bool:
        """See Card."""
        return self._card.wait_for_room(samples, timeout_seconds)

    def queued_samples(self) -> int:
        """See Card."""
        return self._card.queued_samples()

    def write(self, main: Float[np.ndarray, "samples 2"], cue: Float[np.ndarray, "samples"] | None = None) -> None:
        """See Card."""
        opening = self._card.opening
        if opening != self._opening:
            self._opening, self._written = opening, 0
        self._card.write(main, cue)
        tape = self.tape
        if tape is not None:
            tape.write(opening, self._written, main)
        self._written += len(main)
        self._on_write()

    def read(self) -> list[Captured]:
        """See Card."""
        captured, tape = self._card.read(), self.tape
        if tape is not None and captured:
            tape.hear(captured)
        return captured

    def close(self) -> None:
        """See Card."""
        self._card.close()
