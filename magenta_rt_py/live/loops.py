"""Loops: how much later a performer's sound is mixed in, and when a change of loop takes effect.

    performer   |1 . . . 2 . . . |            looper: sound of one loop is mixed in one loop later, so that a context
    mixed in                     |1 . . . 2 . . . |    that runs ahead of the performer is full all the same

A loop is a number of beats at a tempo. A change of either waits for the next bar, and the sound of before keeps its
place: what was played at stream sample t with loop length L is at t + L, whatever the loop becomes later.
Source: Live Music Models, Appendix E, looper mode. What differs: several loops back if one is shorter than the delay.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

__all__ = ["FREE", "Loop", "LoopState", "init_state", "request", "step"]

SAMPLES_A_SECOND = 48_000
TOLERANCE_BEATS = 1e-9
"""Beat positions are sums of floats; this is less than a thousandth of a sample."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loop:
    """Free mode (0 beats), or a loop of a number of beats at a tempo."""

    beats: int = 8
    """Length, 0 .. 64 (released: 1 .. 16, default 8); 0 is free mode."""
    bpm: float = 120.0
    """Tempo, 20 .. 400 beats a minute."""
    repeats: int = 1
    """Loops between playing and being mixed in, 1 .. 64: `repeats_for` finds the fewest that fill the context."""

    def __post_init__(self) -> None:
        if not 0 <= self.beats <= 64 or not 1 <= self.repeats <= 64:
            raise ValueError(f"a loop of {self.beats} beats, {self.repeats} times; give 0 .. 64 beats and 1 .. 64 times")
        if not math.isfinite(self.bpm) or not 20.0 <= self.bpm <= 400.0:
            raise ValueError(f"bpm is {self.bpm!r}; give a number from 20 to 400")

    @property
    def offset_samples(self) -> int:
        """How much later sound is mixed in. Rounded once, however many repeats there are."""
        return round(self.repeats * self.beats * 60.0 / self.bpm * SAMPLES_A_SECOND)

    def repeats_for(self, delay_samples: int) -> Loop:
        """The same loop, with the fewest repeats that bridge a delay.

        Args:
          delay_samples: from playing until the end of the context being made then: round trip, buffer and hop.
        Raises:
          ValueError: even 64 repeats are too short.
        """
        if not self.beats:
            return self
        for repeats in range(1, 65):
            loop = dataclasses.replace(self, repeats=repeats)
            if loop.offset_samples >= delay_samples:
                return loop
        raise ValueError(f"64 loops of {self.beats} beats are less than a delay of {delay_samples} samples; use more beats")


FREE = Loop(beats=0)


class LoopState(NamedTuple):
    """The loop in force, and the one that waits."""

    loop: Loop
    """In force."""
    waiting: Loop | None
    """Takes effect at `change_beat`."""
    change_beat: float
    """Position at which it does, in beats."""


def init_state(loop: Loop = FREE) -> LoopState:
    """A loop in force, and none waiting."""
    return LoopState(loop, None, 0.0)


def request(state: LoopState, loop: Loop, beat: float, *, beats_per_bar: int = 4) -> LoopState:
    """Asks for another loop from the next bar on; a second request replaces the first.

    Args:
      state: of the loops.
      loop: the one wanted; `FREE` for free mode.
      beat: position of the transport now, in beats.
      beats_per_bar: a bar's length; 1 for the next beat.
    """
    bar = math.ceil(beat / beats_per_bar - TOLERANCE_BEATS) * beats_per_bar
    return LoopState(state.loop, loop, float(bar))


def step(state: LoopState, beats: Float[np.ndarray, "samples"]) -> tuple[LoopState, Int[np.ndarray, "samples"]]:
    """How much later each sample is mixed in.

    Args:
      state: of the loops.
      beats: position of the transport at each sample that the performer played, in beats, not falling.
    Returns:
      the next state, and an offset for `injection.hear`.
    """
    offsets = np.full(len(beats), state.loop.offset_samples, np.int64)
    if state.waiting is None:
        return state, offsets
    changed = beats >= state.change_beat - TOLERANCE_BEATS
    if not changed.any():
        return state, offsets
    offsets[int(np.argmax(changed)) :] = state.waiting.offset_samples
    return init_state(state.waiting), offsets
