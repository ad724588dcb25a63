"""Output stage: everything between the model's sound and the loudspeaker.

    sound -> no NaN -> concealment -> DC block -> volume -> limiter -> guard -> played
             (+ which samples are there)

It adds no delay: the limiter looks back only, and what it is too slow for is rounded off by the guard, which has no
memory. Streamed: `step(config, state, x) -> (state, y)`. Pure, and exact in pieces: a replay with other block sizes gives
the same samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from magenta_rt_py.live import concealment, filters, ramp

__all__ = ["Guard", "OutputConfig", "OutputState", "init_state", "step"]

Guard = Callable[[np.ndarray], np.ndarray]
"""Brings samples below the ceiling one by one, without memory (`generators.safety.guard`)."""
LOUDEST_INPUT = 64.0
"""36 dB above full scale. Beyond it a sample is broken, and is cut before it gets into a filter."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """The output stage's constants. Ours."""

    threshold: float = 0.8
    """Peaks above this are turned down, 0.1 .. 1: a little above the guard's knee, which then seldom has to act."""
    attack_seconds: float = 0.003
    """Time to turn down; the guard rounds off what passes meanwhile. 0.002 or more."""
    release_seconds: float = 0.25
    """Time to turn up again. 0.01 or more."""
    dc_block_hz: float = 5.0
    """Corner of the DC block, 1 .. 40: below every note."""
    fades: concealment.ConcealmentConfig = dataclasses.field(default_factory=concealment.ConcealmentConfig)
    """How underruns are bridged."""

    def __post_init__(self) -> None:
        limits = (
            ("threshold", self.threshold, 0.1, 1.0),
            ("attack_seconds", self.attack_seconds, 0.002, 0.1),
            ("release_seconds", self.release_seconds, 0.01, 10.0),
            ("dc_block_hz", self.dc_block_hz, 1.0, 40.0),
        )
        for name, value, low, high in limits:
            if not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; give a number from {low:g} to {high:g}")


class OutputState(NamedTuple):
    """What is carried from block to block."""

    concealment: concealment.ConcealmentState
    """Of the bridged underruns; it counts them."""
    before: Float[np.ndarray, "1 channels"]
    """Last sample before the DC block (float64)."""
    dc_block: filters.Memory
    """Of the DC block."""
    peaks: filters.Memory
    """Of the limiter's peak follower."""
    reduction: filters.Memory
    """Of the limiter's smoothing: how much is taken away, 0 .. 1."""
    volume: float
    """Gain now; it moves to the one asked for by a ramp."""


def init_state(config: OutputConfig, *, channels: int = 2, volume: float = 1.0) -> OutputState:
    """Silence so far, at a volume."""
    silence, quiet = np.zeros((1, channels)), np.zeros(1)
    return OutputState(
        concealment.init_state(config.fades, channels),
        silence,
        filters.init_memory(silence[0]),
        filters.init_memory(quiet),
        filters.init_memory(quiet),
        volume,
    )


def step(
    config: OutputConfig,
    state: OutputState,
    samples: Float[np.ndarray, "samples channels"],
    is_present: Bool[np.ndarray, "samples"],
    *,
    guard: Guard,
    volume: float = 1.0,
) -> tuple[OutputState, Float[np.ndarray, "samples channels"]]:
    """Makes sound safe to play.

    Args:
      config: constants.
      state: what was kept.
      samples: 48 kHz; NaN becomes silence. Where not present: anything.
      is_present: False where sound is not there in time.
      guard: the last stage.
      volume: gain to move to, 0 or more; the model's share of what is played.
    Returns:
      the next state, and float32 samples below the guard's ceiling.
    """
    finite = np.clip(np.nan_to_num(samples, nan=0.0), -LOUDEST_INPUT, LOUDEST_INPUT)
    concealed, heard = concealment.step(config.fades, state.concealment, finite, is_present)
    if not len(samples):
        return state, heard
    before, dc_block, level = _block_dc(config, state, heard.astype(np.float64))
    after, gains = ramp.step(state.volume, volume, len(samples))
    peaks, reduction, limited = _limit(config, state, level * gains[:, None])
    following = OutputState(concealed, before, dc_block, peaks, reduction, after)
    return following, guard(limited.astype(np.float32))


def _block_dc(
    config: OutputConfig, state: OutputState, samples: Float[np.ndarray, "samples channels"]
) -> tuple[Float[np.ndarray, "1 channels"], filters.Memory, Float[np.ndarray, "samples channels"]]:
    """y[n] = x[n] - x[n-1] + r y[n-1]."""
    differences = np.diff(np.concatenate([state.before, samples]), axis=0)
    factor = float(np.exp(-2.0 * np.pi * config.dc_block_hz / filters.SAMPLES_A_SECOND))
    memory, blocked = filters.smooth(state.dc_block, differences, factor)
    return samples[-1:].copy(), memory, blocked


def _limit(
    config: OutputConfig, state: OutputState, samples: Float[np.ndarray, "samples channels"]
) -> tuple[filters.Memory, filters.Memory, Float[np.ndarray, "samples channels"]]:
    """Turns all channels down together while peaks are above the threshold; leaves what never is as it is."""
    loudest = np.abs(samples).max(axis=1, keepdims=True)
    peaks, envelope = filters.follow_peaks(state.peaks, loudest, filters.decay(config.release_seconds))
    wanted = 1.0 - np.minimum(1.0, config.threshold / np.maximum(envelope, config.threshold))
    attack = filters.decay(config.attack_seconds)
    reduction, smoothed = filters.smooth(state.reduction, (1.0 - attack) * wanted, attack)
    return peaks, reduction, samples * (1.0 - smoothed)
