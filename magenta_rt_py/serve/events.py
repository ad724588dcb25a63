"""Events: what a seat, or the hall, tells the connection it belongs to. Pure: plain records, named as in the protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from magenta_rt_py.live.session_parts import SessionStatus

if TYPE_CHECKING:
    from magenta_rt_py.serve.seat import Seat

__all__ = ["Calibrated", "Changed", "Ended", "Event", "File", "Recording", "Said", "Seated", "Status", "Waiting"]

LEFT = 1000
BROKEN = 1011
RESTART = 1012
IDLE = 4408
TAKEN_OVER = 4409
TOO_MANY = 4429


@dataclasses.dataclass(frozen=True, kw_only=True)
class Waiting:
    """No seat is free yet."""

    place: int
    """In the line; 1 is next."""
    waiting: int
    """How many wait, this one among them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seated:
    """A seat is free, and it is yours. Comes once after `Waiting`; whoever is seated at once has it from `Hall.enter`."""

    seat: Seat


@dataclasses.dataclass(frozen=True, kw_only=True)
class Changed:
    """Knobs were turned, or asked for as they stood already."""

    sequence: int
    """Of the board, with these values."""
    source: str
    """Who did it."""
    values: Mapping[str, Any]
    """What they stand at now, by name."""
    id: int | str | None = None
    """Of the `set` that did it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """A line for the performer."""

    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """How it is going, five times a second."""

    session: SessionStatus
    lead_seconds: float
    """Sound that is made ahead of the page."""
    prompts: tuple[str, ...]
    """Of each slot, from 1 on: "empty", "reading", "ready" or "failed"."""
    live_prompt_age_seconds: float | None
    """How old the newest embedding of the performer's sound is; None if there is none."""
    position: int
    """Device sample that the page plays now."""
    opening: int
    """Of the card, to which the position belongs."""
    device_rtf: float
    """Of the device of all sessions, see `Device.rtf`; NaN before its first work."""
    device_problem: str | None
    """Why the device does not answer, in one line."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """A file that can be fetched."""

    name: str
    """For people, with a suffix."""
    id: str
    """32 hexadecimal digits."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording has begun, goes on, or is complete."""

    state: str
    """ "recording", "done" or "failed"."""
    id: str
    """Of the main file."""
    seconds: float
    """Recorded so far."""
    files: tuple[File, ...]
    """Main file and microphone; they can be fetched once it is done."""
    problem: str | None = None
    """Why it stopped, in one line; None if somebody stopped it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibrated:
    """The round trip was looked for."""

    samples: int | None
    """None: it was not found."""
    reason: str
    """Why not; else empty."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """It is over for this connection, and nothing more comes."""

    reason: str
    """One line for people."""
    code: int
    """To close the socket with: one of this module's numbers."""


Event = Waiting | Seated | Changed | Said | Status | Recording | Calibrated | Ended
