"""Played along: a card whose input is a file: a performer who is always there and always plays the same.

    handed out      |--block--|--block--|
    the file        |.........|~~~~~~~~~|   file sample i comes in with device sample i + round_trip

Stateful: it counts what the card has handed out. Everything else is the card's own.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from magenta_rt_py.live.card import Captured, Card, CardStatus

__all__ = ["PlayedAlong"]


class PlayedAlong:
    """A `live.card.Card` around another."""

    input_channels = 2

    def __init__(
        self, card: Card, performance: Float[np.ndarray, "samples 2"], *, is_looped: bool = True, round_trip_samples: int = 0
    ) -> None:
        """The file begins with the first sample that is handed out.

        Args:
          card: where the music goes; its own input is not read.
          performance: 48 kHz.
          is_looped: begins again at its end; else silence follows.
          round_trip_samples: as of a player at a real input.
        """
        self._card, self._performance = card, performance
        self._is_looped, self._round_trip = is_looped, round_trip_samples
        self.block_samples, self.has_cue = card.block_samples, card.has_cue
        self._opening, self._written, self._read, self._base = card.opening, 0, 0, 0

    @property
    def opening(self) -> int:
        """See Card."""
        return self._card.opening

    @property
    def status(self) -> CardStatus:
        """See Card."""
        return self._card.status

    def wait_for_room(self, samples: int, timeout_seconds: float) -> bool:
        """See Card."""
        has_room = self._card.wait_for_room(samples, timeout_seconds)
        if self._card.opening != self._opening:  # device samples are counted anew; the file goes on
            self._opening, self._base = self._card.opening, self._base + self._read
            self._written = self._read = 0
        return has_room

    def queued_samples(self) -> int:
        """See Card."""
        return self._card.queued_samples()

    def write(self, main: Float[np.ndarray, "samples 2"], cue: Float[np.ndarray, "samples"] | None = None) -> None:
        """See Card."""
        self._card.write(main, cue)
        self._written += len(main)

    def read(self) -> list[Captured]:
        """See Card: the file, as far as the device has come."""
        handed = max(self._read, self._written - self._card.queued_samples())
        if handed == self._read or not len(self._performance):
            return []
        first, self._read = self._read, handed
        places = np.arange(first, handed) + self._base - self._round_trip
        samples = np.zeros((handed - first, 2), np.float32)
        there = (places >= 0) & (self._is_looped | (places < len(self._performance)))
        samples[there] = self._performance[places[there] % len(self._performance)]
        return [Captured(self._opening, first, samples)]

    def close(self) -> None:
        """See Card."""
        self._card.close()
