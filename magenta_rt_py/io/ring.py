"""Ring: samples from one process to another through shared memory, without a lock.

    positions    written ------->            grow for ever; the place in the store is position % capacity
                      read ---->
    store        [ w w w . . . r w w w ]

One side writes, the other reads. Each position is written by one side only, as one aligned 64-bit number, after the
samples it stands for have been copied. Stateful: a Ring is one side's view of the memory.
"""

from __future__ import annotations

import threading

import numpy as np
from jaxtyping import Int64, Num

__all__ = ["POSITION_BYTES", "Ring"]

POSITION_BYTES = 128
"""Both positions, each in a cache line of its own so that the two sides do not slow each other down."""
_READ_AT = 8
_LOCK = threading.Lock()


def _fence() -> None:
    """Keeps what was stored or loaded before from moving behind what follows.

    Processors with weak memory order (ARM) may show the position before the samples. Python has no fence, but taking and
    giving back a lock orders memory. It is this process's own lock and nobody waits for it.
    """
    for _ in range(2):  # one round is a fence in one direction only
        _LOCK.acquire()
        _LOCK.release()


class Ring:
    """One side of a ring. Call the writing methods in one process and thread, the reading ones in another."""

    def __init__(self, positions: Int64[np.ndarray, "16"], store: Num[np.ndarray, "capacity channels"]) -> None:
        """Views shared memory; zeros are an empty ring.

        Args:
          positions: `POSITION_BYTES` of the shared memory.
          store: the samples; its length is the most that can be in the ring.
        """
        self._positions = positions
        self._store = store

    @property
    def capacity(self) -> int:
        """Samples that fit in."""
        return len(self._store)

    @property
    def written(self) -> int:
        """Samples written since the beginning."""
        return int(self._positions[0])

    @property
    def taken(self) -> int:
        """Samples read since the beginning."""
        return int(self._positions[_READ_AT])

    def available(self) -> int:
        """Samples that can be read."""
        return self.written - self.taken

    def room(self) -> int:
        """Samples that can be written."""
        return self.capacity - self.available()

    def write(self, samples: Num[np.ndarray, "samples channels"]) -> None:
        """Puts samples in.

        Raises:
          ValueError: there is not so much room; nothing was written.
        """
        count, room = len(samples), self.room()
        if count > room:
            raise ValueError(f"{count} samples for a ring with room for {room}; look at room() first")
        _fence()
        start = self.written
        place = start % self.capacity
        first = min(count, self.capacity - place)
        self._store[place : place + first] = samples[:first]
        self._store[: count - first] = samples[first:]
        _fence()
        self._positions[0] = start + count

    def read_into(self, out: Num[np.ndarray, "samples channels"]) -> int:
        """Takes samples out.

        Args:
          out: filled from its beginning, as far as there is something.
        Returns:
          samples that were read.
        """
        count = min(len(out), self.available())
        _fence()
        start = self.taken
        place = start % self.capacity
        first = min(count, self.capacity - place)
        out[:first] = self._store[place : place + first]
        out[first:count] = self._store[: count - first]
        _fence()
        self._positions[_READ_AT] = start + count
        return count

    def read(self, most: int | None = None) -> Num[np.ndarray, "samples channels"]:
        """Takes out what is there, as an array of its own.

        Args:
          most: samples at most; None is all.
        """
        count = self.available() if most is None else min(most, self.available())
        out = np.empty((count, self._store.shape[1]), self._store.dtype)
        self.read_into(out)
        return out
