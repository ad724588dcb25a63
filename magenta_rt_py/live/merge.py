"""Merge: how a new segment takes over from those already there. Pure; the timeline asks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

SHAPES = ("linear", "equal_power")


class Segment(NamedTuple):
    """What one request brought."""

    request: int
    """Number of the request; a higher one is newer, whenever it arrives."""
    start: int
    """First unit."""
    payloads: tuple[Any, ...]
    """One a unit: an array of samples, codes, notes, or anything else but None."""
    sequence: int = 0
    """Number of the controls it was made with."""

    @property
    def end(self) -> int:
        """The unit after its last."""
        return self.start + len(self.payloads)


class Placement(NamedTuple):
    """A segment on the timeline, and from where on it may be heard."""

    segment: Segment
    first: int
    """First unit that may come from it: its start, or later if it arrived late."""

    def covers(self, unit: int) -> bool:
        """Whether it has something for a unit."""
        return self.first <= unit < self.segment.end


@runtime_checkable
class Merge(Protocol):
    """A rule for taking over."""

    def first_unit(self, segment: Segment, placed: Sequence[Placement], frozen_until: int) -> int:
        """The first unit that a segment which has just arrived may fill; its end or later means none."""
        ...

    def combine(self, placement: Placement, unit: int, older: Any | None) -> Any:
        """What is played in a unit of the newest placement, if `older` is what would be played without it."""
        ...

    @property
    def needs_older(self) -> int:
        """Units after a placement's first in which `combine` looks at what is older."""
        ...


@dataclasses.dataclass(frozen=True)
class Overwrite:
    """The new segment is played from its first unit that is still to come."""

    def first_unit(self, segment: Segment, placed: Sequence[Placement], frozen_until: int) -> int:
        """Its start, or the first unit that is not frozen."""
        return max(segment.start, frozen_until)

    def combine(self, placement: Placement, unit: int, older: Any | None) -> Any:
        """The new payload."""
        return placement.segment.payloads[unit - placement.segment.start]

    @property
    def needs_older(self) -> int:
        """None."""
        return 0


@dataclasses.dataclass(frozen=True)
class CrossFade:
    """The new segment fades in over the old one, which is its own backup; over a gap it fades in from silence.

    Payloads must be arrays whose first axis is time.
    """

    units: int = 1
    """Length of the fade in units."""
    shape: str = "equal_power"
    """"equal_power" for sounds that differ (codec LM: 40 ms), "linear" for sounds that agree (diffusion: 20 ms)."""

    def __post_init__(self) -> None:
        if self.units < 1:
            raise ValueError(f"a crossfade of {self.units} units; give at least 1, or merge by Overwrite")
        if self.shape not in SHAPES:
            raise ValueError(f"shape is {self.shape!r}; give one of {', '.join(SHAPES)}")

    def first_unit(self, segment: Segment, placed: Sequence[Placement], frozen_until: int) -> int:
        """Its start, or the first unit that is not frozen."""
        return max(segment.start, frozen_until)

    def combine(self, placement: Placement, unit: int, older: Any | None) -> Any:
        """Both, weighted for each time point of the unit."""
        new = placement.segment.payloads[unit - placement.segment.start]
        step = unit - placement.first
        if step >= self.units:
            return new
        progress = (step + (np.arange(len(new)) + 0.5) / len(new)) / self.units
        gain_new, gain_old = fade_gains(progress, self.shape)
        across = (-1,) + (1,) * (np.ndim(new) - 1)
        mixed = np.asarray(new) * gain_new.reshape(across)
        if older is not None:
            mixed = mixed + np.asarray(older) * gain_old.reshape(across)
        return mixed.astype(np.asarray(new).dtype)

    @property
    def needs_older(self) -> int:
        """The length of the fade."""
        return self.units


def fade_gains(
    progress: Float[np.ndarray, "points"], shape: str
) -> tuple[Float[np.ndarray, "points"], Float[np.ndarray, "points"]]:
    """Gains of the new and the old sound.

    Args:
      progress: 0 where the fade begins, 1 where it ends.
      shape: "linear": the gains sum to 1; "equal_power": their squares do.
    """
    if shape == "linear":
        return progress, 1.0 - progress
    return np.sin(0.5 * np.pi * progress), np.cos(0.5 * np.pi * progress)


def _is_something(payload: Any) -> bool:
    return payload is not None


@dataclasses.dataclass(frozen=True)
class Amend:
    """A second thought: a new segment replaces an old one only until the first onset of the old has been heard.

    For phrases: submitted before the turn with the notes so far, submitted again at the turn; once the answer sounds, it
    is finished as it began, and the new segment may only go on after it.
    """

    is_onset: Callable[[Any], bool] = _is_something
    """Whether a payload begins to sound; without it every unit does."""

    def first_unit(self, segment: Segment, placed: Sequence[Placement], frozen_until: int) -> int:
        """After the end of every overlapping phrase that has begun."""
        first = max(segment.start, frozen_until)
        for old in placed:
            if first < old.segment.end and self._has_begun(old, frozen_until):
                first = max(first, old.segment.end)
        return first

    def combine(self, placement: Placement, unit: int, older: Any | None) -> Any:
        """The new payload."""
        return placement.segment.payloads[unit - placement.segment.start]

    @property
    def needs_older(self) -> int:
        """None."""
        return 0

    def _has_begun(self, old: Placement, frozen_until: int) -> bool:
        segment = old.segment
        frozen = range(old.first, min(frozen_until, segment.end))
        return any(self.is_onset(segment.payloads[unit - segment.start]) for unit in frozen)
