"""Clock: where the engine gets its time from. Wall time for playing, virtual time for tests and the simulator."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    """Seconds since the engine's time began, never going back."""

    def now_seconds(self) -> float:
        """The time."""
        ...

    def wait_until(self, seconds: float) -> None:
        """Returns when the time has come; at once if it has passed."""
        ...


class WallClock:
    """The machine's steady clock (stateful: it remembers when it was made).

    Waits are for absolute times, so that an error in one wait is not carried into the next, and a change of the
    machine's date does nothing.
    """

    def __init__(self) -> None:
        """Starts at zero."""
        self._origin = time.perf_counter()

    def now_seconds(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._origin

    def wait_until(self, seconds: float) -> None:
        """Sleeps until an absolute time."""
        while (left := seconds - self.now_seconds()) > 0.0:
            time.sleep(left)


class VirtualClock:
    """A clock that moves only when someone waits on it (stateful): an hour of live music takes a moment, always the same."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Starts at the given time."""
        self._seconds = seconds

    def now_seconds(self) -> float:
        """The time it was last moved to."""
        return self._seconds

    def wait_until(self, seconds: float) -> None:
        """Moves on to `seconds`; never back."""
        self._seconds = max(self._seconds, seconds)
