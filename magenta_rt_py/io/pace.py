"""Pace: the blocks that a device with a perfect clock would have asked for. Stateful, and it is told the time."""

from __future__ import annotations

__all__ = ["Pace"]

ENGINE_HZ = 48_000


class Pace:
    """Counts blocks that have become due, and takes samples for them: what a card does that has no device."""

    def __init__(self, block_samples: int, now_seconds: float) -> None:
        """The first block is due one block from now.

        Args:
          block_samples: length of a block, 48 kHz samples.
          now_seconds: on whatever clock; the other methods are told the same one's time.
        """
        self._block = block_samples
        self._origin = now_seconds
        self._blocks = 0

    @property
    def next_seconds(self) -> float:
        """When the next block is due."""
        return self._origin + (self._blocks + 1) * self._block / ENGINE_HZ

    def take(self, now_seconds: float, available: int) -> list[int]:
        """Samples that go into each block that has become due, as long as there are any.

        Args:
          now_seconds: the time.
          available: samples that are there; what is not is silence.
        """
        due = int((now_seconds - self._origin) * ENGINE_HZ / self._block + 1e-6) - self._blocks
        taken = []
        for _ in range(due):
            taken.append(min(self._block, available))
            available -= taken[-1]
        self._blocks += max(due, 0)
        return taken
