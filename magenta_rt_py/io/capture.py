"""Capture: what came in, with the device sample that each of it was handed out together with.

    input ring     a a a a a a|b b b b           blocks one after another
    marks          0 -> 0      6 -> 9            from ring position 6 on, device sample 9 and following

A mark is written only where the input breaks off: at the start, after a gap, or where input was lost. Stateful; a
CaptureWriter belongs to the driver's call, a CaptureReader to the engine's process.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from magenta_rt_py.io.ring import Ring

__all__ = ["CaptureReader", "CaptureWriter", "Run"]


class CaptureWriter:
    """The driver's side."""

    def __init__(self, ring: Ring, marks: Ring) -> None:
        """Nothing came in yet.

        Args:
          ring: of the input.
          marks: its marks.
        """
        self._ring, self._marks = ring, marks
        self._expected: int | None = None
        self.lost = 0
        """Samples for which there was no room."""

    def write(
        self, samples: Float[np.ndarray, "samples channels"], device_start: int, device_samples: int | None = None
    ) -> None:
        """Takes a block; loses it if the reader is too far behind.

        Args:
          samples: what came in.
          device_start: device sample of the output that was handed out together with the first of them.
          device_samples: so many device samples of the output later the next block is expected; None: as many as came in.
        """
        breaks = device_start != self._expected
        if self._ring.room() < len(samples) or (breaks and not self._marks.room()):
            self.lost += len(samples)
            return
        if breaks:
            self._marks.write(np.array([[self._ring.written, device_start]], np.int64))
        self._ring.write(samples)
        self._expected = device_start + (len(samples) if device_samples is None else device_samples)


class Run(NamedTuple):
    """Input without a break."""

    device_start: int | None
    """Device sample of the first one; None: it goes on where the last run ended."""
    samples: Float[np.ndarray, "samples channels"]
    """At the input's rate."""


class CaptureReader:
    """The engine's side."""

    def __init__(self, ring: Ring, marks: Ring) -> None:
        """Reads from the beginning.

        Args:
          ring: of the input.
          marks: its marks.
        """
        self._ring, self._marks = ring, marks
        self._ahead: deque[tuple[int, int]] = deque()  # marks that were read and not yet reached

    def read(self) -> list[Run]:
        """Everything that came in since the last call, in order."""
        start = self._ring.taken
        samples = self._ring.read()  # before the marks: a block's mark is always there before the block
        self._ahead.extend((int(position), int(device)) for position, device in self._marks.read())
        runs, done = [], 0
        device_start = None
        while self._ahead and self._ahead[0][0] < start + len(samples):
            position, following = self._ahead.popleft()
            if position - start > done:
                runs.append(Run(device_start, samples[done : position - start]))
            done, device_start = position - start, following
        if done < len(samples):
            runs.append(Run(device_start, samples[done:]))
        return runs
