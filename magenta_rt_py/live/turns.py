"""Turns: whose turn it is, for music that is traded. Pure."""

from __future__ import annotations

import dataclasses
import enum
from typing import NamedTuple


class Role(enum.Enum):
    """Who may sound."""

    IDLE = "idle"
    HUMAN = "human"
    MODEL = "model"


class Turn(NamedTuple):
    """A stretch of time that belongs to one role."""

    start: int
    """First unit."""
    length: int
    """In units."""
    role: Role


@dataclasses.dataclass(frozen=True, kw_only=True)
class TurnSchedule:
    """Human and model take turns of equal length, after a pre-roll in which nobody plays.

    Source: arXiv 2606.21018 (turn-taking loops of 1 to 16 bars, pre-roll, human first).
    """

    turn_units: int
    """Length of every turn in units."""
    preroll_units: int = 0
    """Units before the first turn: the count-in."""
    first: Role = Role.HUMAN
    """Who begins."""

    def __post_init__(self) -> None:
        if self.turn_units < 1 or self.preroll_units < 0:
            raise ValueError(
                f"turns of {self.turn_units} units after a pre-roll of {self.preroll_units}; give at least 1 and 0"
            )
        if self.first is Role.IDLE:
            raise ValueError("nobody begins; let first be Role.HUMAN or Role.MODEL")

    def turn(self, unit: int) -> Turn:
        """The turn that a unit is in."""
        if unit < self.preroll_units:
            return Turn(0, self.preroll_units, Role.IDLE)
        number = (unit - self.preroll_units) // self.turn_units
        second = Role.MODEL if self.first is Role.HUMAN else Role.HUMAN
        return Turn(
            self.preroll_units + number * self.turn_units,
            self.turn_units,
            self.first if number % 2 == 0 else second,
        )

    def role(self, unit: int) -> Role:
        """Who may sound in a unit."""
        return self.turn(unit).role
