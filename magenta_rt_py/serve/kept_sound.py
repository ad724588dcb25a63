"""Kept sound: the last minute of what was written, as the packets it travels in, so that a page can ask for it again.

    kept    |--packet--|--packet--|--packet--|     oldest dropped beyond so many seconds
    take            ^ from any sample on, each sample once

Stateful; the page card uses it under its lock.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from magenta_rt_py.serve import wire

__all__ = ["KeptSound", "cut_packets"]

SAMPLES_A_SECOND = 48_000
FEWEST_SAMPLES = 240
"""Pieces shorter than this (5 ms) on average would cost more memory than their sound; then fewer seconds are kept."""


class Kept(NamedTuple):
    """A packet that was written."""

    opening: int
    start: int
    """Device sample of its first one."""
    samples: int
    data: bytes
    """As it travels."""

    @property
    def end(self) -> int:
        """The device sample after its last one."""
        return self.start + self.samples


class KeptSound:
    """The newest packets of all openings, oldest first."""

    def __init__(self, seconds: float) -> None:
        """Nothing yet.

        Args:
          seconds: that are kept.
        """
        self._most_samples = round(seconds * SAMPLES_A_SECOND)
        self._packets: deque[Kept] = deque(maxlen=self._most_samples // FEWEST_SAMPLES)
        self._samples = 0

    def add(
        self,
        opening: int,
        start: int,
        main: Float[np.ndarray, "samples 2"],
        cue: Float[np.ndarray, "samples"] | None,
        controls: int,
    ) -> None:
        """The next samples.

        Args:
          opening: of the card.
          start: device sample of the first one.
          main: 48 kHz.
          cue: the metronome; it is kept while it clicks.
          controls: number of the settings the sound was made with.
        """
        for first in range(0, len(main), wire.MOST_SOUND_SAMPLES):
            piece = main[first : first + wire.MOST_SOUND_SAMPLES]
            if cue is not None:
                clicks = cue[first : first + wire.MOST_SOUND_SAMPLES]
                piece = np.concatenate([piece, clicks[:, None]], axis=1) if clicks.any() else piece
            self._put(opening, start + first, piece, controls)

    def first(self, opening: int) -> int | None:
        """The oldest device sample of an opening that is kept; None if none is."""
        return next((kept.start for kept in self._packets if kept.opening == opening), None)

    def since(self, opening: int, position: int, limit: int) -> list[Kept]:
        """The packets that hold the samples from `position` on: at least `limit` samples of them, if there are so many."""
        newest: list[Kept] = []
        for kept in reversed(self._packets):
            if kept.opening != opening or kept.end <= position:
                break
            newest.append(kept)
        found, count = [], 0
        while newest and count < limit:
            found.append(newest.pop())
            count += found[-1].end - max(position, found[-1].start)
        return found

    def last(self, seconds: float) -> list[Kept]:
        """The packets that hold the last so many seconds, and a little more; of all openings."""
        wanted, found = round(seconds * SAMPLES_A_SECOND), []
        for kept in reversed(self._packets):
            if wanted <= 0:
                break
            found.append(kept)
            wanted -= kept.samples
        return found[::-1]

    def _put(self, opening: int, start: int, lanes: Float[np.ndarray, "samples channels"], controls: int) -> None:
        flags = 0 if start else wire.DISCONTINUITY
        samples, channels = lanes.shape
        packet = wire.Packet(
            kind=wire.SOUND,
            flags=flags,
            channels=channels,
            format=0,
            opening=opening,
            samples=samples,
            controls=controls,
            position=start,
            payload=wire.payload_of(lanes),
        )
        while self._packets and (
            self._samples + samples > self._most_samples or len(self._packets) == self._packets.maxlen
        ):
            self._samples -= self._packets.popleft().samples
        self._packets.append(Kept(opening, start, samples, wire.pack(packet)))
        self._samples += samples


def cut_packets(kept: list[Kept], position: int, limit: int) -> list[bytes]:
    """Packets that begin at `position` and hold at most `limit` samples together."""
    packets = []
    for one in kept:
        first = max(position - one.start, 0)
        last = min(first + limit, one.samples)
        if last > first:
            packets.append(wire.cut(one.data, first, last))
            limit -= last - first
    return packets
