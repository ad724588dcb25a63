"""Look-ahead limiter: peaks are turned down before they come, so that no sample exceeds the ceiling and none is clipped.

    wanted reduction   ____|____________      1 - ceiling / peak, of the loudest channel
    held               |````\\___________      sliding maximum: from the moment the peak comes into sight; then release
    smoothed           /````\\___________      moving average over the same window: a ramp, complete when the peak goes out
    sound out          ____________|____      `look_ahead_samples` later

Every value of the average's window has the peak in sight, so their mean is at least what the peak needs: the bound is
exact. The ceiling is one of samples; between samples the true peak may lie a little above it. Sound that stays below
the ceiling comes out as it went in, bit for bit, only later.

Streamed: `step(config, state, x) -> (state, y)`. Pure, and exact in pieces: reductions are whole multiples of 2^-30, so
that their sums are exact in any order.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.live import filters

__all__ = ["LimiterConfig", "LimiterState", "init_state", "step"]

GRAIN = 2**30
"""Reductions are whole multiples of 1 / GRAIN; GRAIN itself is silence."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimiterConfig:
    """The limiter's constants, at 48 kHz. Ours."""

    ceiling: float = 10.0 ** (-0.3 / 20.0)
    """Amplitude of the loudest sample that goes out, 0.05 .. 1: -0.3 dB full scale."""
    look_ahead_samples: int = 72
    """Delay, and time to turn down: 1.5 ms. 1 .. 960."""
    release_seconds: float = 0.25
    """Time to turn up again, to 1/e of the reduction: 0.01 .. 10."""

    def __post_init__(self) -> None:
        limits = (
            ("ceiling", self.ceiling, 0.05, 1.0),
            ("look_ahead_samples", self.look_ahead_samples, 1, 960),
            ("release_seconds", self.release_seconds, 0.01, 10.0),
        )
        for name, value, low, high in limits:
            if not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; give a number from {low:g} to {high:g}")

    @property
    def sample_ceiling(self) -> float:
        """The ceiling as a float32 sample, rounded down: what no sample exceeds."""
        nearest = np.float32(self.ceiling)
        return float(nearest if float(nearest) <= self.ceiling else np.nextafter(nearest, np.float32(0.0)))


class LimiterState(NamedTuple):
    """What is carried from block to block."""

    delayed: Float[np.ndarray, "look_ahead channels"]
    """Samples that have come in and not gone out (float32)."""
    wanted: Float[np.ndarray, "look_ahead"]
    """Reductions that they want, 0 .. 1 (float64)."""
    release: filters.Memory
    """Of the release."""
    held: Int[np.ndarray, "look_ahead"]
    """The last held reductions, in multiples of 1 / GRAIN (int64)."""
    is_idle: bool
    """Nothing is turned down, and nothing in sight wants to be."""


def init_state(config: LimiterConfig, *, channels: int = 2) -> LimiterState:
    """Silence so far."""
    length = config.look_ahead_samples
    return LimiterState(
        np.zeros((length, channels), np.float32),
        np.zeros(length),
        filters.init_memory(np.zeros(1)),
        np.zeros(length, np.int64),
        True,
    )


def step(
    config: LimiterConfig, state: LimiterState, samples: Float[np.ndarray, "samples channels"]
) -> tuple[LimiterState, Float[np.ndarray, "samples channels"]]:
    """Turns all channels down together where a peak is above the ceiling.

    Args:
      config: constants.
      state: what was kept.
      samples: 48 kHz, finite as float32, in which they are taken.
    Returns:
      the next state, and as many float32 samples, `look_ahead_samples` late, none beyond the ceiling.
    """
    if not len(samples):
        return state, np.zeros(samples.shape, np.float32)
    ceiling = config.sample_ceiling
    line = np.concatenate([state.delayed, samples.astype(np.float32, copy=False)])
    outgoing, delayed = line[: len(samples)], line[len(samples) :].copy()
    loudest = _loudest(line[len(state.delayed) :])
    if state.is_idle and loudest.max() <= ceiling:
        # The usual case, with the same samples as below: a gain of 1. Only the release's place in its cell moves on.
        place = (state.release.place + len(samples)) % filters.CELL_SAMPLES
        return state._replace(delayed=delayed, release=state.release._replace(place=place)), outgoing
    peaks = np.maximum(loudest.astype(np.float64), ceiling)
    wanted = np.concatenate([state.wanted, 1.0 - ceiling / peaks])
    release, held = _hold(config, state.release, wanted)
    held = np.concatenate([state.held, held])
    gains = 1.0 - _moving_sum(held, config.look_ahead_samples + 1) / (GRAIN * (config.look_ahead_samples + 1))
    limited = (outgoing * gains[:, None]).astype(np.float32)
    following = LimiterState(delayed, wanted[len(samples) :].copy(), release, held[len(samples) :].copy(), False)
    return _rest(following), limited


def _loudest(samples: Float[np.ndarray, "samples channels"]) -> Float[np.ndarray, "samples"]:
    """Peak of the channels. Column by column: NumPy is slow along a short last axis."""
    loudest = np.abs(samples[:, 0])
    for channel in range(1, samples.shape[1]):
        np.maximum(loudest, np.abs(samples[:, channel]), out=loudest)
    return loudest


def _hold(
    config: LimiterConfig, release: filters.Memory, wanted: Float[np.ndarray, "in_sight"]
) -> tuple[filters.Memory, Int[np.ndarray, "samples"]]:
    """The largest reduction in sight, and a slow way back, in multiples of 1 / GRAIN; `wanted` begins with the state's."""
    in_sight = _sliding_max(wanted, config.look_ahead_samples + 1)
    release, falling = filters.follow_peaks(release, in_sight[:, None], filters.decay(config.release_seconds))
    # Rounded up, and one more for the rounding of 1 - ceiling / peak: the bound holds. The way back is rounded down,
    # so that it ends.
    needed = np.where(in_sight > 0.0, np.ceil(in_sight * GRAIN) + 1.0, 0.0)
    held = np.maximum(needed, np.floor(falling[:, 0] * GRAIN))
    return release, np.minimum(held, GRAIN).astype(np.int64)


def _sliding_max(values: Float[np.ndarray, "in_sight"], window: int) -> Float[np.ndarray, "samples"]:
    """Maximum of each value and the `window` - 1 before it, by doubling the width."""
    width = 1
    while width < window:
        shift = min(width, window - width)
        values = np.maximum(values[shift:], values[:-shift])
        width += shift
    return values


def _moving_sum(values: Int[np.ndarray, "in_sight"], window: int) -> Int[np.ndarray, "samples"]:
    """Sum of each value and the `window` - 1 before it; exact."""
    sums = np.cumsum(values)
    sums[window:] -= sums[:-window].copy()
    return sums[window - 1 :]


def _rest(state: LimiterState) -> LimiterState:
    """The same state, marked as idle and with an empty release once nothing of either can be heard any more."""
    if state.held.any() or state.wanted.any():
        return state
    return state._replace(release=state.release._replace(total=np.zeros_like(state.release.total)), is_idle=True)
