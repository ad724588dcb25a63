"""Following: where the input stands in the output, when the two are opened separately.

Two streams call at moments of their own, so the output's position at an input block is known to about a block, and two
devices' clocks drift apart. A Follower waits half a second, takes the mean, and then counts; it jumps only when the mean
error has grown beyond 10 ms. Stateful; it runs in the driver's call.
"""

from __future__ import annotations

__all__ = ["Follower"]

SETTLING_SECONDS = 0.5
"""Input that is thrown away while the position is being found."""
AVERAGED_SECONDS = 2.0
"""Time constant of the mean error."""
MOST_ERROR_SECONDS = 0.01


class Follower:
    """Counts input blocks in device samples of the output."""

    def __init__(self, *, input_hz: int, output_hz: int) -> None:
        """Not settled.

        Args:
          input_hz: rate of the input.
          output_hz: rate of the output, in whose samples positions are.
        """
        self._input_hz, self._output_hz = input_hz, output_hz
        self._restart()

    def step(self, samples: int, position: float | None) -> tuple[int, int] | None:
        """Places a block.

        Args:
          samples: its length, at the input's rate.
          position: of the output now, by the last call and the clock; None while nothing is being played.
        Returns:
          the device samples at its first sample and after its last, or None: not known yet, throw it away.
        """
        if position is None:
            self._restart()
            return None
        length = samples * self._output_hz / self._input_hz
        error = position - self._next
        if self._settled_seconds < SETTLING_SECONDS:
            self._blocks += 1
            self._error += (error - self._error) / self._blocks
            self._settled_seconds += samples / self._input_hz
            self._next += length
            if self._settled_seconds >= SETTLING_SECONDS:
                self._jump()
            return None
        share = min(samples / self._input_hz / AVERAGED_SECONDS, 1.0)
        self._error += (error - self._error) * share
        if abs(self._error) > MOST_ERROR_SECONDS * self._output_hz:
            self._jump()
        start = round(self._next)
        self._next += length
        return start, round(self._next)

    def _jump(self) -> None:
        self._next = max(self._next + self._error, 0.0)
        self._error = 0.0

    def _restart(self) -> None:
        self._next = self._error = self._settled_seconds = 0.0
        self._blocks = 0
