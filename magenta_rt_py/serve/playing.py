"""Playing: what a seat needs of a model, whichever it is: protocols that the real one and the stand-in fulfil. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from magenta_rt_py import audio
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.card import Card
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.session import Session
from magenta_rt_py.live.session_parts import SessionConfig
from magenta_rt_py.serve.capacity import Capacity
from magenta_rt_py.serve.device import Device

__all__ = ["About", "Playing", "Resolve", "SeatFactory", "lead_seconds"]

SAMPLES_A_SECOND = 48_000

Resolve = Callable[[str], str | audio.Audio]
"""What a prompt's text stands for: words, or an uploaded sound. ValueError in one line if it stands for nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """What a page is told of the model."""

    bundle: str
    """Its name, for people."""
    knobs: Mapping[str, Any]
    """Values to begin with, where they differ from the knobs' own defaults."""
    suggestions: tuple[str, ...] = ()
    """Prompts that the model knows well."""
    capabilities: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    """What works with it: "injection", "tempo", "adapters" (their strength can be turned), ..."""
    rtf: float = 1.0
    """Seconds of music for each second of work, backup not counted, as performances ask for it, measured at the start; of
    all together, with as many as keep up."""
    capacity: Capacity | None = None
    """How many keep up, by what batches of requests take; None: as many as `rtf` says."""

    def most(self, share: float) -> int:
        """Performances that keep up if the device is given to them for this share of the time; at least one."""
        return max(1, math.floor(share * self.rtf)) if self.capacity is None else self.capacity.streams(share)


@runtime_checkable
class Playing(Protocol):
    """One performance with its model. All but `session` may be called from any thread."""

    session: Session
    """What plays."""

    def prompt_states(self) -> Sequence[str]:
        """Of each slot, from 1 on: "empty", "reading", "ready" or "failed"."""
        ...

    def live_prompt_age_seconds(self) -> float | None:
        """How old the newest embedding of the performer's sound is; None if there is none."""
        ...

    def past_of(self, sound: audio.Audio) -> tuple[Frame | None, ...]:
        """The last ten seconds of a sound as frames to go on from. May take seconds."""
        ...

    def forget(self, prompt: str) -> None:
        """A prompt that stood for a sound stands for nothing now."""
        ...

    def close(self) -> None:
        """Completes the log, and lets the device go. After the session's `run`, on its thread."""
        ...


@runtime_checkable
class SeatFactory(Protocol):
    """Makes performances."""

    @property
    def about(self) -> About:
        """What it makes them with."""
        ...

    def __call__(
        self, seat_id: str, board: Board, card: Card, device: Device, *, config: SessionConfig, resolve: Resolve
    ) -> Playing:
        """A performance, ready to run; on the seat's thread, may take seconds.

        Args:
          seat_id: whose; for debuggers.
          board: its knobs.
          card: where it goes.
          device: what computes; its session keeps the device's clock.
          config: how it is set up.
          resolve: what a prompt's text stands for.
        """
        ...


def lead_seconds(session: Session, card: Card) -> float:
    """Seconds of sound until a session has none: what is queued, and what is made and waits behind it. Any thread."""
    status = session.status
    made = status.seconds + status.backup_seconds - session.seconds
    return card.queued_samples() / SAMPLES_A_SECOND + max(0.0, made)
