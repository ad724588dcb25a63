"""Timeline: what is to be played, unit by unit, and what has been played."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from magenta_rt_py.live.merge import Merge, Overwrite, Placement, Segment


class Slot(NamedTuple):
    """One unit, as it is played."""

    payload: Any
    """What the generator made, merged with its predecessor where they meet."""
    request: int
    """Number of the newest request it comes from."""
    index: int
    """Its place in that request's segment: 0 is fresh, high is backup. (Staleness is the mean of this.)"""
    sequence: int
    """Number of the controls it was made with."""


class Origin(NamedTuple):
    """A new past: from a unit on, generators believe in another history than what was played."""

    unit: int
    """The first unit of the new present."""
    past: tuple[Any, ...]
    """Payloads of the units before it, newest last."""


class Timeline:
    """Segments ahead of the playhead and history behind it (stateful; one thread uses it).

    Newest request wins, whatever the order of arrival; older segments stay as backup until they are over. The past and
    the frozen zone are never rewritten. History is what was played, not what was generated: it alone is given to
    generators.

    Attributes:
      playhead: the next unit to be played.
      frozen_until: the first unit that may still change.
    """

    def __init__(self, merge: Merge | None = None, *, history_units: int = 0) -> None:
        """Starts empty, at unit 0.

        Args:
          merge: how new takes over from old; None overwrites.
          history_units: played units to remember.
        """
        self._merge: Merge = merge or Overwrite()
        self._placed: list[Placement] = []
        self._played: deque[Any] = deque(maxlen=history_units)
        self._origins: list[Origin] = []
        self.playhead = 0
        self.frozen_until = 0

    def put(self, segment: Segment) -> int:
        """Places what a request brought.

        Returns:
          how many of its units can still be heard, if nothing newer comes; 0 if it came too late.
        Raises:
          ValueError: if the same request was placed before, or a payload is None.
        """
        if any(payload is None for payload in segment.payloads):
            raise ValueError(f"request {segment.request} brought None for a unit; leave units out at the end instead")
        if any(old.segment.request == segment.request for old in self._placed):
            raise ValueError(f"request {segment.request} was placed before; give every request its own number")
        first = self._merge.first_unit(segment, self._placed, self.frozen_until)
        if first >= segment.end:
            return 0
        self._placed.append(Placement(segment, first))
        self._placed.sort(key=lambda placement: placement.segment.request)
        return segment.end - first

    def at(self, unit: int) -> Slot | None:
        """What would be played in a unit, not before the playhead, by what is known now; None is a gap."""
        return self._slot(unit, len(self._placed))

    def play(self) -> Slot | None:
        """Plays the unit at the playhead, once and for all, and moves on; None is a gap."""
        slot = self.at(self.playhead)
        self._played.append(None if slot is None else slot.payload)
        self.playhead += 1
        self.freeze(self.playhead)
        self._placed = [placement for placement in self._placed if placement.segment.end > self.playhead]
        return slot

    def freeze(self, until: int) -> None:
        """Promises that nothing before `until` will change; an earlier promise stands."""
        self.frozen_until = max(self.frozen_until, until)

    def clear(self, start: int) -> None:
        """Takes away everything from `start` on that is not frozen: a stop, a rewind, a change of roles."""
        start = max(start, self.frozen_until)
        kept = []
        for segment, first in self._placed:
            if first < start:
                length = min(segment.end, start) - segment.start
                kept.append(Placement(segment._replace(payloads=segment.payloads[:length]), first))
        self._placed = kept

    def played(self, first: int, end: int) -> tuple[Any, ...]:
        """What was played in units first .. end - 1; None for gaps and for units before the stream began.

        Raises:
          ValueError: for units that are still to come, or that are no longer remembered.
        """
        if end > self.playhead:
            raise ValueError(f"unit {end - 1} has not been played; ask for units before {self.playhead}")
        oldest = self.playhead - len(self._played)
        if max(first, 0) < min(oldest, end):
            raise ValueError(
                f"unit {max(first, 0)} is forgotten, {oldest} is the oldest; make the timeline with more history_units"
            )
        return tuple(self._played[unit - oldest] if unit >= 0 else None for unit in range(first, end))

    def known(self, first: int, end: int) -> tuple[Any, ...]:
        """What a generator is to believe was played in units first .. end - 1: what was, what surely will be, and before an
        origin the past that came with it; None where there is nothing.

        Raises:
          ValueError: for units that may still change, or that are no longer remembered.
        """
        if end > self.frozen_until:
            raise ValueError(f"unit {end - 1} may still change; ask for units before {self.frozen_until}")
        origin = next((origin for origin in reversed(self._origins) if origin.unit <= end), Origin(0, ()))
        past = origin.past[max(0, len(origin.past) - max(0, origin.unit - first)) :][: max(0, end - first)]
        missing = max(0, min(end, origin.unit) - first - len(past))
        begin = max(first, origin.unit)
        played = self.played(begin, min(end, self.playhead)) if begin < self.playhead else ()
        coming = [self.at(unit) for unit in range(max(begin, self.playhead), end)]
        return (*(None,) * missing, *past, *played, *(None if slot is None else slot.payload for slot in coming))

    def rebase(self, unit: int, past: tuple[Any, ...]) -> None:
        """From a unit on, the music has another past: a snapshot, a rewind. What was to be played from there on goes.

        Args:
          unit: not yet frozen.
          past: payloads of the units before it, newest last.
        Raises:
          ValueError: the unit can no longer change.
        """
        if unit < self.frozen_until:
            raise ValueError(f"unit {unit} can no longer change; give {self.frozen_until} or later")
        self.clear(unit)
        self._origins = [origin for origin in self._origins if origin.unit < unit][-1:] + [Origin(unit, past)]

    def first_gap(self, start: int, end: int) -> int:
        """The first unit in start .. end - 1, none before the playhead, that has nothing to play; `end` if all have."""
        return next((unit for unit in range(start, end) if self.at(unit) is None), end)

    def _slot(self, unit: int, count: int) -> Slot | None:
        """What is played by the `count` oldest requests alone."""
        for position in range(count - 1, -1, -1):
            placement = self._placed[position]
            if placement.covers(unit):
                older = None
                if unit - placement.first < self._merge.needs_older:
                    below = self._slot(unit, position)
                    older = None if below is None else below.payload
                segment = placement.segment
                payload = self._merge.combine(placement, unit, older)
                return Slot(payload, segment.request, unit - segment.start, segment.sequence)
        return None
