"""Playback: fills the driver's blocks from the ring, and bridges what is not there with a fade instead of a click.

    ring      x x x x x x x x|  empty   |x x x x x x
    played    x x x x x x x x \\ 0 0 0 / x x x x x x      a fall from the last sample, then a rise into the next

Stateful; it runs in the driver's call, so it makes no arrays that it need not make.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from magenta_rt_py.io.ring import Ring

__all__ = ["FADE_SAMPLES", "Playback"]

FADE_SAMPLES = 256
"""Device samples of a fade: 5 ms at 48 kHz."""


class Playback:
    """What is handed to the device, block by block."""

    def __init__(self, ring: Ring, *, lanes: int, main_channels: tuple[int, ...], cue_channels: tuple[int, ...]) -> None:
        """Nothing played yet.

        Args:
          ring: of the output, main left and right and perhaps the cue.
          lanes: 2, or 3 with a cue.
          main_channels: device channels, from 0, of left and right, or one that gets (left + right) / 2.
          cue_channels: device channels that all get the cue.
        """
        self._ring = ring
        self._main, self._cue = main_channels, cue_channels
        self._lanes = np.zeros((0, lanes), np.float32)
        self._last = np.zeros(lanes, np.float32)
        self._fall = np.linspace(1.0, 0.0, FADE_SAMPLES, endpoint=False, dtype=np.float32)[:, None]
        self._fallen = FADE_SAMPLES
        self._is_playing = self._has_begun = self._is_ending = False
        self._seen = 0
        self.underflows = 0
        """Blocks that had to be bridged, since the first sample was played."""

    @property
    def position(self) -> int:
        """Samples handed out so far: the number of the next one."""
        return self._ring.taken

    def end(self) -> None:
        """From now on: a fade, and silence."""
        self._is_ending = True

    def fill(self, out: Float[np.ndarray, "samples channels"]) -> int:
        """Plays the next block.

        Args:
          out: the device's block; all of its channels are set.
        Returns:
          samples that came from the ring: the first so many of the block.
        """
        samples = len(out)
        if len(self._lanes) < samples:
            self._lanes = np.zeros((samples, len(self._last)), np.float32)
        lanes = self._lanes[:samples]
        count = self._next_count(samples)
        if count:
            self._ring.read_into(lanes[:count])
            if not self._is_playing and self._has_begun:  # after a gap: no step upwards either
                rise = min(count, FADE_SAMPLES)
                lanes[:rise] *= 1.0 - self._fall[:rise]
            self._has_begun = True
            self._last[:] = lanes[count - 1]
            self._fallen = 0
        self._is_playing = count == samples
        if count < samples:
            if self._has_begun and not self._is_ending:
                self.underflows += 1
            self._fade(lanes[count:])
        self._route(lanes, out)
        return count

    def _next_count(self, samples: int) -> int:
        """Samples to take from the ring. After a gap it waits for a whole block, unless no more comes."""
        available = self._ring.available()
        waits = not self._is_playing and available < samples and available != self._seen
        self._seen = available
        return 0 if self._is_ending or waits else min(samples, available)

    def _fade(self, lanes: Float[np.ndarray, "samples lanes"]) -> None:
        falling = min(len(lanes), FADE_SAMPLES - self._fallen)
        lanes[:falling] = self._last * self._fall[self._fallen : self._fallen + falling]
        lanes[falling:] = 0.0
        self._fallen += falling

    def _route(self, lanes: Float[np.ndarray, "samples lanes"], out: Float[np.ndarray, "samples channels"]) -> None:
        out.fill(0.0)
        if len(self._main) == 1:
            out[:, self._main[0]] = 0.5 * (lanes[:, 0] + lanes[:, 1])
        else:
            for lane, channel in enumerate(self._main):
                out[:, channel] = lanes[:, lane]
        for channel in self._cue:
            out[:, channel] = lanes[:, 2]
