"""What a session is made of, besides live modules of their own: protocols, set-up and status. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from magenta_rt_py.live import intro
from magenta_rt_py.live.board import Settings
from magenta_rt_py.live.card import CardStatus
from magenta_rt_py.live.frame import Frame

__all__ = ["Master", "SessionConfig", "SessionStatus", "Sound", "Styles"]


@runtime_checkable
class Sound(Protocol):
    """The sound of the frames that are played, in order (`generators.live_lm.LiveSound`)."""

    is_coarse: bool
    """Whether the finer levels are left out."""
    width: int
    """How many streams were made together in the last `render`, this one among them; 1 is alone. A replay sets it."""

    def render(self, frames: Sequence[Frame]) -> Float[np.ndarray, "samples 2"]:
        """Sound of the frames, one frame late."""
        ...

    def peek(self, frames: Sequence[Frame]) -> Float[np.ndarray, "samples 2"]:
        """What `render` would give, without going on."""
        ...


@runtime_checkable
class Styles(Protocol):
    """Turns prompts into style codes, on a thread of its own (`generators.style_desk.StyleDesk`)."""

    def ask(self, settings: Settings) -> None:
        """The knobs are these now."""
        ...

    def hear(self, prompt: Any) -> Any:
        """Takes the state of the live prompt, and gives it back with what has come of it."""
        ...

    @property
    def latest(self) -> tuple[int, tuple[int, ...] | None]:
        """Number of the newest settings whose prompts are ready, and their style."""
        ...

    @property
    def problem(self) -> str | None:
        """The prompt that could not be used last, in one line."""
        ...


@runtime_checkable
class Master(Protocol):
    """Another machine's clock."""

    def __call__(self, seconds: float) -> tuple[float, float] | None:
        """Its beat at a time (of time.perf_counter) and its tempo; None while it does not run."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """How a performance is set up."""

    seed: int = 0
    """Where the knob `seed` starts, 0 .. 2**32 - 1. The same seed and the same log give the same music."""
    log_path: Path | None = None
    """The event log, a new file; None for none."""
    checkpoint_path: Path | None = None
    """Where to note every 5 s what to resume from; None for nowhere."""
    record_path: Path | None = None
    """A recording that starts with the music."""
    record_folder: Path = Path()
    """Where recordings without a name go."""
    intro: intro.Intro | None = None
    """Count-in and loops before the model joins; None begins at once."""
    round_trip_samples: int = 0
    """From writing a sample to its coming back in, without what is queued: by calibration."""
    has_input: bool = False
    """Whether a performer plays along."""
    start_beat: float = 0.0
    """Position of the transport at frame 0."""


class SessionStatus(NamedTuple):
    """What a display shows."""

    seconds: float
    """Music played."""
    bar: int
    """Of what is heard now, from 0."""
    beat: float
    """Since the bar line."""
    bpm: float
    """Tempo there."""
    rtf: float
    """Music played for each second that the model was at work, of late; above 1 it keeps up."""
    buffer_seconds: float
    """Sound in front of the device."""
    backup_seconds: float
    """Music that is ready beyond it."""
    underruns: int
    """Times that sound was not there in time."""
    missing_samples: int
    """Samples that were bridged."""
    delay_seconds: float
    """Median from turning a knob to hearing it; NaN before the first."""
    peak: float
    """Of the last frame, 0 .. 1."""
    step: int
    """1 .. 4, see planner.py."""
    hop_seconds: float
    """From one request to the next."""
    message: str
    """The newest line for the performer."""
    recording: str | None
    """The recording's file."""
    card: CardStatus
    """How the sound card is doing."""
