"""Delay: how long a change of the controls takes to be heard, and where the time goes.

    change ----> device takes a request ----> its first unit is played on ----> ... out of the buffer ----> heard
            hop                         compute                        buffer                     device

The first unit that is heard carries the number of the controls it was made with, so the delay is measured, not guessed.
Stateful; one thread uses it, but for `changed`, which any thread may call.
"""

from __future__ import annotations

import statistics
from collections import deque
from typing import NamedTuple

__all__ = ["Delay", "DelayMeter"]

KEPT = 1000
"""The newest delays, and changes that wait to be heard, are remembered."""


class Delay(NamedTuple):
    """One change, in seconds."""

    hop: float
    """Until a request took it up."""
    compute: float
    """From there until the request's first unit was played on: computing, and waiting for its turn."""
    buffer: float
    """In the buffer between the engine and the device."""
    device: float
    """In the device, as it says itself."""

    @property
    def total(self) -> float:
        """From the change until it is heard."""
        return sum(self)


class DelayMeter:
    """Measures; see the module's head."""

    def __init__(self) -> None:
        """Nothing was changed yet."""
        self.delays: deque[Delay] = deque(maxlen=KEPT)
        self._changes: deque[tuple[int, float]] = deque(maxlen=KEPT)
        self._taken: deque[tuple[int, float]] = deque(maxlen=100)

    def changed(self, sequence: int, seconds: float) -> None:
        """The controls got this number."""
        self._changes.append((sequence, seconds))

    def taken(self, sequence: int, seconds: float) -> None:
        """The device took a request with these controls."""
        self._taken.append((sequence, seconds))

    def played(self, sequence: int, seconds: float, *, buffer_seconds: float, device_seconds: float) -> None:
        """A unit made with these controls was played on.

        Args:
          sequence: of its controls.
          seconds: when.
          buffer_seconds: what is queued before it.
          device_seconds: delay of the device.
        """
        while self._changes and self._changes[0][0] <= sequence:
            number, changed = self._changes.popleft()
            taken = next((at for taken_number, at in self._taken if taken_number >= number), None)
            if taken is not None and taken >= changed:
                self.delays.append(Delay(taken - changed, seconds - taken, buffer_seconds, device_seconds))

    @property
    def median_seconds(self) -> float:
        """Of what is remembered; NaN if there is nothing."""
        return statistics.median(delay.total for delay in self.delays) if self.delays else float("nan")
