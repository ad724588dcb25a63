"""Metronome: clicks on the transport's beats, for an output of their own.

    beat position  0.99 | 1.0 ...        a click's first sample is the first one at or after a whole beat
    click               | ~~~~40 ms~~~~

Streamed: `step(state, beats) -> (state, samples)`. Pure; it never reaches the music or what the model hears.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["CLICK_SAMPLES", "MetronomeState", "init_state", "pass_over", "rings", "step"]

SAMPLES_A_SECOND = 48_000
CLICK_SAMPLES = SAMPLES_A_SECOND * 40 // 1000
"""Length of a click: 40 ms."""
EDGE_SAMPLES = 100
"""Linear attack and release of a click."""
DOWNBEAT_HZ, BEAT_HZ = 880.0, 440.0
"""Pitch on the first beat of a bar, and on the others."""
LONGEST_STEP_BEATS = 1 / 64
"""Positions further apart than this are a jump of the transport, and what was jumped over does not click."""
TOLERANCE_BEATS = 1e-9  # beat positions are sums of floats


class MetronomeState(NamedTuple):
    """Where the transport was, and the click that sounds."""

    beat: float
    """Position at the last sample, in beats; NaN before the first."""
    click_age: int
    """Samples of the running click that were played; CLICK_SAMPLES if none runs."""
    is_downbeat: bool
    """Which click it is."""
    level: float
    """Its amplitude: the one at its start, so that turning the metronome off lets it end."""


def init_state() -> MetronomeState:
    """Before the first beat."""
    return MetronomeState(float("nan"), CLICK_SAMPLES, False, 0.0)


def step(
    state: MetronomeState, beats: Float[np.ndarray, "samples"], *, level: float = 0.25, beats_per_bar: int = 4
) -> tuple[MetronomeState, Float[np.ndarray, "samples"]]:
    """The metronome's next samples.

    Args:
      state: of the metronome.
      beats: position of the transport at each sample, in beats. A position that does not move makes no click.
      level: amplitude of clicks that begin in these samples, 0 .. 1; 0 is off.
      beats_per_bar: a bar's length.
    Returns:
      the next state, and 48 kHz mono.
    """
    samples = np.zeros(len(beats), np.float32)
    position = 0
    for onset in [*click_onsets(state.beat, beats).tolist(), len(beats)]:
        state = _ring(state, samples[position:onset])
        position = onset
        if onset < len(beats):
            whole_beat = int(np.floor(beats[onset] + TOLERANCE_BEATS))
            state = MetronomeState(state.beat, 0, whole_beat % beats_per_bar == 0, level)
    return (state._replace(beat=float(beats[-1])) if len(beats) else state), samples


def rings(state: MetronomeState) -> bool:
    """Whether a click that can be heard has not ended."""
    return state.level > 0.0 and state.click_age < CLICK_SAMPLES


def pass_over(state: MetronomeState, beat: float) -> MetronomeState:
    """Moves on to a beat position without a click; nothing may ring. What `step` does with level 0, without its work."""
    return MetronomeState(beat, CLICK_SAMPLES, state.is_downbeat, 0.0)


def click_onsets(last_beat: float, beats: Float[np.ndarray, "samples"]) -> np.ndarray:
    """Indices of the samples at which a whole beat is reached, by moving on to it or by a jump right onto it.

    Args:
      last_beat: position at the sample before; NaN if there is none.
      beats: positions, in beats.
    """
    before = np.concatenate([[last_beat], beats])[:-1]
    whole = np.floor(beats + TOLERANCE_BEATS)
    moved = beats - before
    passed = (whole > np.floor(before + TOLERANCE_BEATS)) & (moved <= LONGEST_STEP_BEATS)
    jumped = np.isnan(before) | (moved < 0) | (moved > LONGEST_STEP_BEATS)
    return np.flatnonzero(passed | (jumped & (np.abs(beats - whole) <= TOLERANCE_BEATS)))


def _ring(state: MetronomeState, samples: Float[np.ndarray, "samples"]) -> MetronomeState:
    """Writes the running click into `samples`, as far as it goes."""
    count = min(len(samples), CLICK_SAMPLES - state.click_age)
    samples[:count] = state.level * _click(state.is_downbeat)[state.click_age : state.click_age + count]
    return state._replace(click_age=state.click_age + count)


@functools.cache
def _click(is_downbeat: bool) -> Float[np.ndarray, "click"]:
    """A click of full scale."""
    time = np.arange(CLICK_SAMPLES)
    tone = np.sin(2.0 * np.pi * (DOWNBEAT_HZ if is_downbeat else BEAT_HZ) / SAMPLES_A_SECOND * time)
    edge = np.minimum(1.0, (np.minimum(time, CLICK_SAMPLES - 1 - time) + 1) / EDGE_SAMPLES)
    return (tone * edge).astype(np.float32)
