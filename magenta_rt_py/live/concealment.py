"""Concealment: what is heard when sound is not there in time, and how the music comes back.

    present    x x x x x x . . . . . . . . . . x x x x
    heard      x x x x x x e e e e e e . . . . c c x x    e: the last 100 ms backwards and forwards, fading out
                                                          c: crossfade to the music

Never a step: the first concealed sample continues the last heard one, and the music comes back by a crossfade. An
underrun that lasts ends in silence, after the fade.

Streamed: `step(config, state, x) -> (state, y)`. Pure, and exact in pieces.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["ConcealmentConfig", "ConcealmentState", "init_state", "step"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConcealmentConfig:
    """Lengths of the fades. Ours, by ear."""

    memory_samples: int = 4800
    """What is repeated: the last 100 ms. 2 or more."""
    fade_out_samples: int = 19_200
    """From the underrun to silence: 400 ms. 1 or more."""
    fade_in_samples: int = 960
    """From the concealment to the music: 20 ms. 1 or more."""

    def __post_init__(self) -> None:
        lengths = (self.memory_samples - 1, self.fade_out_samples, self.fade_in_samples)
        if min(lengths) < 1:
            raise ValueError(
                f"memory {self.memory_samples}, fade out {self.fade_out_samples}, fade in {self.fade_in_samples} samples; "
                "give at least 2, 1 and 1"
            )


class ConcealmentState(NamedTuple):
    """What was heard last, and how far a concealment is."""

    heard: Float[np.ndarray, "memory channels"]
    """The last samples that went out, newest last."""
    repeated: Float[np.ndarray, "memory channels"]
    """What the running concealment is made of: what was heard when it began."""
    concealed: int
    """Samples since it began."""
    risen: int
    """Samples since the music came back, 0 .. fade_in_samples; fade_in_samples: nothing is concealed."""
    is_missing: bool
    """Whether the last sample was not there."""
    underruns: int
    """Times that sound was not there, since the start."""
    missing_samples: int
    """Samples that were not there, since the start."""


def init_state(config: ConcealmentConfig, channels: int = 2) -> ConcealmentState:
    """Silence was heard, nothing is missing; the first sound is passed on as it is."""
    silence = np.zeros((config.memory_samples, channels), np.float32)
    return ConcealmentState(silence, silence, 0, config.fade_in_samples, False, 0, 0)


def step(
    config: ConcealmentConfig,
    state: ConcealmentState,
    samples: Float[np.ndarray, "samples channels"],
    is_present: Bool[np.ndarray, "samples"],
) -> tuple[ConcealmentState, Float[np.ndarray, "samples channels"]]:
    """Passes on what is there and bridges what is not.

    Args:
      config: lengths of the fades.
      state: what was kept.
      samples: finite where present; elsewhere anything, and never heard.
      is_present: which of them are there.
    """
    pieces = [np.zeros((0, samples.shape[1]), np.float32)]
    bounds = [0, *(np.flatnonzero(np.diff(is_present)) + 1).tolist(), len(samples)]
    for first, last in itertools.pairwise(bounds):
        if first < last:
            follow = _pass_on if is_present[first] else _bridge
            state, piece = follow(config, state, samples[first:last])
            heard = np.concatenate([state.heard, piece])[-config.memory_samples :]
            state = state._replace(heard=heard, is_missing=not is_present[first])
            pieces.append(piece)
    return state, np.concatenate(pieces)


def _bridge(
    config: ConcealmentConfig, state: ConcealmentState, missing: Float[np.ndarray, "samples channels"]
) -> tuple[ConcealmentState, Float[np.ndarray, "samples channels"]]:
    if not state.is_missing:
        state = state._replace(repeated=state.heard, concealed=0, risen=0, underruns=state.underruns + 1)
    echo = _echo(config, state, len(missing))
    total = state.missing_samples + len(missing)
    return state._replace(concealed=state.concealed + len(missing), missing_samples=total), echo


def _pass_on(
    config: ConcealmentConfig, state: ConcealmentState, samples: Float[np.ndarray, "samples channels"]
) -> tuple[ConcealmentState, Float[np.ndarray, "samples channels"]]:
    count = min(len(samples), config.fade_in_samples - state.risen)
    if not count:
        return state, samples.astype(np.float32)
    rise, fall = (fade[state.risen : state.risen + count, None] for fade in _crossfade(config.fade_in_samples))
    joined = samples[:count] * rise + _echo(config, state, count) * fall
    state = state._replace(concealed=state.concealed + count, risen=state.risen + count)
    return state, np.concatenate([joined, samples[count:]]).astype(np.float32)


def _echo(config: ConcealmentConfig, state: ConcealmentState, count: int) -> Float[np.ndarray, "samples channels"]:
    """The next samples of a concealment: the memory read backwards and forwards, softer and softer."""
    age = state.concealed + np.arange(count)
    turn = 2 * (config.memory_samples - 1)
    back = (age + 1) % turn
    back = np.minimum(back, turn - back)
    envelope = _fade_out(config.fade_out_samples)
    return state.repeated[config.memory_samples - 1 - back] * envelope[np.minimum(age, config.fade_out_samples), None]


@functools.cache
def _fade_out(samples: int) -> Float[np.ndarray, "fade"]:
    """From 1 to 0, level at both ends; the last value is 0."""
    return (0.5 + 0.5 * np.cos(np.linspace(0.0, np.pi, samples + 1))).astype(np.float32)


@functools.cache
def _crossfade(samples: int) -> tuple[Float[np.ndarray, "fade"], Float[np.ndarray, "fade"]]:
    """Rising and falling gains of equal power: the two sounds have nothing to do with each other."""
    angle = np.arange(1, samples + 1) / (samples + 1) * (np.pi / 2)
    return np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)
