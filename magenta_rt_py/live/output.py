"""Output stage: everything between the model's sound and the loudspeaker.

    sound -> no NaN -> concealment -> DC block -> volume -> limiter -> ceiling -> played
             (+ which samples are there)

The limiter looks ahead, so all sound is `OutputConfig.delay_samples` late (1.5 ms); nothing else delays. The ceiling is
for safety alone: a hard clip that the limiter leaves nothing to. Streamed: `step(config, state, x) -> (state, y)`. Pure,
and exact in pieces: a replay with other block sizes gives the same samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from magenta_rt_py.live import concealment, filters, limiter, ramp

__all__ = ["Guard", "OutputConfig", "OutputState", "init_state", "step"]

Guard = Callable[[np.ndarray], np.ndarray]
"""Shapes samples one by one, without memory (`generators.safety.guard`)."""
LOUDEST_INPUT = 64.0
"""36 dB above full scale. Beyond it a sample is broken, and is cut before it gets into a filter."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """The output stage's constants. Ours."""

    limiter: limiter.LimiterConfig = dataclasses.field(default_factory=limiter.LimiterConfig)
    """Ceiling, look-ahead and release."""
    dc_block_hz: float = 5.0
    """Corner of the DC block, 1 .. 40: below every note."""
    fades: concealment.ConcealmentConfig = dataclasses.field(default_factory=concealment.ConcealmentConfig)
    """How underruns are bridged."""

    def __post_init__(self) -> None:
        if not 1.0 <= self.dc_block_hz <= 40.0:
            raise ValueError(f"dc_block_hz is {self.dc_block_hz!r}; give a number from 1 to 40")

    @property
    def delay_samples(self) -> int:
        """How much later sound goes out than it came in."""
        return self.limiter.look_ahead_samples


class OutputState(NamedTuple):
    """What is carried from block to block."""

    concealment: concealment.ConcealmentState
    """Of the bridged underruns; it counts them."""
    before: Float[np.ndarray, "1 channels"]
    """Last sample before the DC block (float64)."""
    dc_block: filters.Memory
    """Of the DC block."""
    limiter: limiter.LimiterState
    """Of the limiter, the delayed sound among it."""
    volume: float
    """Gain now; it moves to the one asked for by a ramp."""


def init_state(config: OutputConfig, *, channels: int = 2, volume: float = 1.0) -> OutputState:
    """Silence so far, at a volume."""
    silence = np.zeros((1, channels))
    return OutputState(
        concealment.init_state(config.fades, channels),
        silence,
        filters.init_memory(silence[0]),
        limiter.init_state(config.limiter, channels=channels),
        volume,
    )


def step(
    config: OutputConfig,
    state: OutputState,
    samples: Float[np.ndarray, "samples channels"],
    is_present: Bool[np.ndarray, "samples"],
    *,
    guard: Guard | None = None,
    volume: float = 1.0,
) -> tuple[OutputState, Float[np.ndarray, "samples channels"]]:
    """Makes sound safe to play.

    Args:
      config: constants.
      state: what was kept.
      samples: 48 kHz; NaN becomes silence. Where not present: anything.
      is_present: False where sound is not there in time.
      guard: a last stage to go through before the ceiling; None for none.
      volume: gain to move to, 0 or more; the model's share of what is played.
    Returns:
      the next state, and as many float32 samples, `config.delay_samples` late, none beyond the limiter's ceiling.
    """
    concealed, heard = concealment.step(config.fades, state.concealment, _playable(samples), is_present)
    if not len(samples):
        return state, heard
    before, dc_block, level = _block_dc(config, state, heard.astype(np.float64))
    after, gains = ramp.step(state.volume, volume, len(samples))
    limited_to, limited = limiter.step(config.limiter, state.limiter, level * gains[:, None])
    following = OutputState(concealed, before, dc_block, limited_to, after)
    return following, _clip(limited if guard is None else guard(limited), config.limiter.sample_ceiling)


def _playable(samples: Float[np.ndarray, "samples channels"]) -> Float[np.ndarray, "samples channels"]:
    """The samples without NaN, and not louder than a filter can bear."""
    finite = np.where(np.isnan(samples), np.float32(0.0), samples)
    return np.clip(finite, -LOUDEST_INPUT, LOUDEST_INPUT)


def _clip(samples: Float[np.ndarray, "samples channels"], ceiling: float) -> Float[np.ndarray, "samples channels"]:
    """For safety; float32, as `ceiling` is."""
    return np.clip(samples, np.float32(-ceiling), np.float32(ceiling))


def _block_dc(
    config: OutputConfig, state: OutputState, samples: Float[np.ndarray, "samples channels"]
) -> tuple[Float[np.ndarray, "1 channels"], filters.Memory, Float[np.ndarray, "samples channels"]]:
    """y[n] = x[n] - x[n-1] + r y[n-1]."""
    differences = np.diff(samples, axis=0, prepend=state.before)
    factor = float(np.exp(-2.0 * np.pi * config.dc_block_hz / filters.SAMPLES_A_SECOND))
    memory, blocked = filters.smooth(state.dc_block, differences, factor)
    return samples[-1:].copy(), memory, blocked
