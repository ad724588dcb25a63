"""Triggers: when a request is made, and for which units. Pure."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, Protocol, runtime_checkable

from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.turns import Role, TurnSchedule


class Span(NamedTuple):
    """Units that are asked for."""

    start: int
    length: int


@runtime_checkable
class Trigger(Protocol):
    """A rule for asking."""

    def span(self, unit: int, plan: Plan, *, num_events: int) -> Span | None:
        """What to ask for at the beginning of a unit.

        Args:
          unit: the unit that is about to be played.
          plan: the numbers.
          num_events: events (taps, notes) since the last unit.
        Returns:
          the units wanted, or None for no request.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Periodic:
    """A request every `plan.interval` units."""

    phase: int = 0
    """The unit of the first request."""

    def span(self, unit: int, plan: Plan, *, num_events: int) -> Span | None:
        """See Trigger."""
        if unit < self.phase or (unit - self.phase) % plan.interval:
            return None
        return Span(unit + plan.look_ahead, plan.horizon)


@dataclasses.dataclass(frozen=True)
class OnEvent:
    """A request for every unit that something happened before: a tap, a note."""

    def span(self, unit: int, plan: Plan, *, num_events: int) -> Span | None:
        """See Trigger."""
        return Span(unit + plan.look_ahead, plan.horizon) if num_events else None


@dataclasses.dataclass(frozen=True)
class OnTurn:
    """A request for each of the model's turns; asked `early_units` before it, and then once more when it begins.

    The early one is answered in time but knows less; merge by `Amend`, and the second replaces what has not yet sounded.
    """

    schedule: TurnSchedule
    """Whose turn it is."""
    early_units: int = 0
    """How long before the turn the first request is made, 0 .. turn_units. 0 makes only one, at the turn."""

    def __post_init__(self) -> None:
        if not 0 <= self.early_units <= self.schedule.turn_units:
            raise ValueError(f"early_units is {self.early_units}; give 0 to {self.schedule.turn_units}, the turn's length")

    def span(self, unit: int, plan: Plan, *, num_events: int) -> Span | None:
        """See Trigger. The span is the turn, cut at `plan.horizon`, and never reaches into another's turn."""
        for ahead in {0, self.early_units}:
            turn = self.schedule.turn(unit + ahead)
            if turn.role is Role.MODEL and turn.start == unit + ahead:
                return Span(turn.start, min(turn.length, plan.horizon))
        return None
