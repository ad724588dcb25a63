"""Live prompt: the performer's last seconds as an audio prompt, embedded again and again while they play.

    performer    | ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ . . . . . . . . . . . |     ~ signal, . silence
    asked            a   a   a   a   a   a                                every `refresh_seconds`, if there is signal
    embedding         1   2   3   4   5   6 - - - - - - - - - |none       until `stale_seconds` without signal

Embedding takes a while, so a thread in the background does it: `ask` hands out a snapshot of the sound, and `store`
takes what came of it, with the moment it belongs to. What is due and what is stale depends on the sound alone, counted
in stream samples, and whether there is signal is judged by whole tenths of a second of the stream.

Pure: every function returns a new state, and the sound comes to the same state in any pieces.
Source: ours; an audio prompt as in Live Music Models, section 2.3, that follows the performer.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from magenta_rt_py.live import track

__all__ = ["LivePromptConfig", "LivePromptState", "Snapshot", "ask", "hear", "init_state", "is_due", "store"]

SAMPLES_A_SECOND = 48_000
CELL_SAMPLES = 4800
"""The level is taken over cells of 100 ms that lie at fixed places of the stream."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LivePromptConfig:
    """When the performer's sound becomes a prompt. Ours."""

    memory_seconds: float = 10.0
    """How much of the sound is kept and embedded, 1 .. 60: what the style model hears at once."""
    refresh_seconds: float = 2.0
    """From one snapshot to the next, 0.1 .. 60."""
    least_seconds: float = 2.0
    """So much must have been heard, 0.1 .. memory_seconds."""
    least_level_db: float = -60.0
    """Below this level (RMS of both channels, full scale) there is no signal, -120 .. 0."""
    stale_seconds: float = 20.0
    """After so long without signal the embedding is forgotten, 1 .. 600."""

    def __post_init__(self) -> None:
        limits = (
            ("memory_seconds", self.memory_seconds, 1.0, 60.0),
            ("refresh_seconds", self.refresh_seconds, 0.1, 60.0),
            ("least_seconds", self.least_seconds, 0.1, self.memory_seconds),
            ("least_level_db", self.least_level_db, -120.0, 0.0),
            ("stale_seconds", self.stale_seconds, 1.0, 600.0),
        )
        for name, value, low, high in limits:
            if not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; give a number from {low:g} to {high:g}")

    @property
    def memory_samples(self) -> int:
        """`memory_seconds` in samples."""
        return round(self.memory_seconds * SAMPLES_A_SECOND)

    @property
    def stale_samples(self) -> int:
        """`stale_seconds` in samples."""
        return round(self.stale_seconds * SAMPLES_A_SECOND)

    @property
    def least_power(self) -> float:
        """`least_level_db` as mean square."""
        return 10.0 ** (self.least_level_db / 10.0)


class Snapshot(NamedTuple):
    """Sound to be embedded."""

    end_sample: int
    """Stream sample after its last one: the moment its embedding belongs to."""
    samples: Float[np.ndarray, "samples 2"]
    """48 kHz, read-only: another thread may read it while the performer plays on."""


class LivePromptState(NamedTuple):
    """What is carried from block to block."""

    sound: track.Track
    """What was heard; a little more than is handed out."""
    start_sample: int
    """Stream sample at which hearing began."""
    end_sample: int
    """Stream sample after the last one heard; -1 before the first."""
    powers: tuple[float, ...]
    """Mean squares of the last whole cells, as many as are kept, newest last."""
    signal_sample: int
    """Stream sample after the last cell with signal; where hearing began, if there was none."""
    asked_sample: int | None
    """End of the last snapshot."""
    embedded_sample: int
    """The moment the embedding belongs to; without one, the moment up to which none is wanted any more."""
    embedding: Float[np.ndarray, "dim"] | None
    """What came of the newest snapshot that is ready, read-only; None: no prompt, not yet or no longer."""


def init_state() -> LivePromptState:
    """Nothing heard yet."""
    return LivePromptState(track.EMPTY, 0, -1, (), 0, None, -1, None)


def hear(
    config: LivePromptConfig, state: LivePromptState, start_sample: int, samples: Float[np.ndarray, "samples channels"]
) -> LivePromptState:
    """Takes what the performer played.

    Args:
      config: constants.
      state: what was kept.
      start_sample: stream sample of the first sample (`alignment.place`), 0 or more. A hole is silence; after one of
        `stale_seconds` hearing begins anew. What lies before the end of what was heard is left out.
      samples: 48 kHz, one or two channels, finite.
    Raises:
      ValueError: more than two channels, or a sample is NaN or infinite.
    """
    if state.end_sample < 0 or start_sample - state.end_sample > config.stale_samples:
        if not len(samples):
            return state
        state = LivePromptState(track.EMPTY, start_sample, start_sample, (), start_sample, None, start_sample, None)
    samples = samples[max(0, state.end_sample - start_sample) :]
    if not len(samples):
        return state
    start_sample = max(start_sample, state.end_sample)
    end_sample = start_sample + len(samples)
    sound = track.write(state.sound, start_sample, samples)
    judged = _judge(config, state, sound, end_sample)
    return judged._replace(sound=track.forget(sound, end_sample - config.memory_samples), end_sample=end_sample)


def is_due(config: LivePromptConfig, state: LivePromptState) -> bool:
    """Whether the sound should be embedded now: it is time, enough was heard, and there is signal in what is kept."""
    if state.end_sample - state.start_sample < config.least_seconds * SAMPLES_A_SECOND or not state.powers:
        return False
    refresh_samples = config.refresh_seconds * SAMPLES_A_SECOND
    if state.asked_sample is not None and state.end_sample - state.asked_sample < refresh_samples:
        return False
    return sum(state.powers) / len(state.powers) >= config.least_power


def ask(config: LivePromptConfig, state: LivePromptState) -> tuple[LivePromptState, Snapshot]:
    """Hands out the last `memory_seconds` (less, if less was heard), and notes that it did."""
    first = max(state.start_sample, state.end_sample - config.memory_samples)
    samples = track.read(state.sound, first, state.end_sample)
    samples.setflags(write=False)
    return state._replace(asked_sample=state.end_sample), Snapshot(state.end_sample, samples)


def store(state: LivePromptState, end_sample: int, embedding: Float[np.ndarray, "dim"]) -> LivePromptState:
    """Takes an embedding that is ready.

    Args:
      state: as it is now, not as it was when the snapshot was handed out.
      end_sample: of the snapshot.
      embedding: copied. One that is older than what is stored, or that has gone stale meanwhile, is left out.
    """
    if end_sample <= state.embedded_sample:
        return state
    kept = np.array(embedding)
    kept.setflags(write=False)
    return state._replace(embedded_sample=end_sample, embedding=kept)


def _judge(config: LivePromptConfig, state: LivePromptState, sound: track.Track, end_sample: int) -> LivePromptState:
    """Notes where there is signal in the cells that are whole by now, and forgets an embedding that is stale."""
    powers: list[float] = []
    for cell in range(state.end_sample // CELL_SAMPLES, end_sample // CELL_SAMPLES):
        powers.append(_power(sound, cell))
        cell_end = (cell + 1) * CELL_SAMPLES
        if powers[-1] >= config.least_power:
            state = state._replace(signal_sample=cell_end)
        elif cell_end - state.signal_sample > config.stale_samples:
            state = state._replace(embedding=None, embedded_sample=cell_end)
    kept_cells = config.memory_samples // CELL_SAMPLES
    return state._replace(powers=(*state.powers, *powers)[-kept_cells:])


def _power(sound: track.Track, cell: int) -> float:
    """Mean square of a whole cell."""
    samples = track.read(sound, cell * CELL_SAMPLES, (cell + 1) * CELL_SAMPLES)
    return float(np.mean(np.square(samples, dtype=np.float64)))
