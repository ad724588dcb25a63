"""Filters with a memory of one sample: smoothing, DC block and peak follower, fast in NumPy and exact in pieces.

Each is y[n] = r y[n-1] + b[n], or the maximum in place of the sum. Inside a cell of 256 samples it is the running sum (or
maximum) of b[k] / r^k, times r^n. Cells lie at fixed places of the stream and running sums go on from call to call, so
that a stream cut into any pieces gets the same samples to the last bit, and a replay does too.

Pure: `step(state, x) -> (state, y)`.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["Memory", "decay", "follow_peaks", "init_memory", "smooth"]

CELL_SAMPLES = 256
SAMPLES_A_SECOND = 48_000


class Memory(NamedTuple):
    """Where in its cell a filter is, and what it has summed up there."""

    place: int
    """Samples done in this cell, 0 .. 255."""
    total: Float[np.ndarray, "channels"]
    """Running sum or maximum in the cell, the value before the cell included (float64)."""


def init_memory(value: Float[np.ndarray, "channels"]) -> Memory:
    """A filter whose last output was `value`."""
    return Memory(0, value.astype(np.float64))


def decay(seconds: float) -> float:
    """Factor a sample that falls to 1/e in `seconds`; at least 100 samples (2.1 ms) for full precision."""
    return math.exp(-1.0 / (seconds * SAMPLES_A_SECOND))


def smooth(
    memory: Memory, inputs: Float[np.ndarray, "samples channels"], factor: float
) -> tuple[Memory, Float[np.ndarray, "samples channels"]]:
    """y[n] = factor y[n-1] + x[n].

    Args:
      memory: what was kept.
      inputs: finite, float64.
      factor: 0.9 .. 1.
    """
    return _run(np.add, memory, inputs, factor)


def follow_peaks(
    memory: Memory, inputs: Float[np.ndarray, "samples channels"], factor: float
) -> tuple[Memory, Float[np.ndarray, "samples channels"]]:
    """y[n] = max(factor y[n-1], x[n]): up at once, down slowly; x is 0 or more."""
    return _run(np.maximum, memory, inputs, factor)


def _run(
    combine: np.ufunc, memory: Memory, inputs: Float[np.ndarray, "samples channels"], factor: float
) -> tuple[Memory, Float[np.ndarray, "samples channels"]]:
    outputs = np.empty(inputs.shape, np.float64)
    falling, rising = _powers(factor)
    place, total, start = int(memory.place), memory.total, 0
    while start < len(inputs):
        count = min(CELL_SAMPLES - place, len(inputs) - start)
        totals = inputs[start : start + count] * rising[place : place + count]
        totals[0] = combine(total, totals[0])
        combine.accumulate(totals, axis=0, out=totals)
        np.multiply(totals, falling[place : place + count], out=outputs[start : start + count])
        total = totals[-1]
        place, start = place + count, start + count
        if place == CELL_SAMPLES:
            place, total = 0, total * falling[-1]
    return Memory(place, total), outputs


@functools.cache
def _powers(factor: float) -> tuple[Float[np.ndarray, "cell 1"], Float[np.ndarray, "cell 1"]]:
    """factor^n and factor^-n for n = 1 .. 256."""
    exponents = np.arange(1, CELL_SAMPLES + 1)[:, None]
    return factor**exponents, factor**-exponents
