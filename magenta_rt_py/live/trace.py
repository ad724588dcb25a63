"""Trace: what happened in a stream, in as much memory as it is given."""

from __future__ import annotations

from collections import deque

import numpy as np
from jaxtyping import Int

from magenta_rt_py.live import metrics
from magenta_rt_py.live.timeline import Slot
from magenta_rt_py.live.worker import Response

KEPT_UNITS = 100_000
"""Over an hour of codec frames."""


class Trace:
    """A log of units, responses and changes of the controls (stateful). The oldest units are forgotten; counts are not.

    Attributes:
      num_units: units played.
      num_responses: requests that came back.
      deadline_misses: those that came back after their first unit was due.
    """

    def __init__(self, unit_seconds: float, *, kept_units: int = KEPT_UNITS) -> None:
        """Starts empty.

        Args:
          unit_seconds: length of a unit.
          kept_units: how many units, and as many responses and changes, are remembered.
        """
        self._unit_seconds = unit_seconds
        self._index: deque[int] = deque(maxlen=kept_units)
        self._sequence: deque[int] = deque(maxlen=kept_units)
        self._round_trips: deque[tuple[int, float]] = deque(maxlen=kept_units)
        self._changed: deque[float] = deque(maxlen=kept_units)
        self.num_units = 0
        self.num_responses = 0
        self.deadline_misses = 0
        self._made_seconds = 0.0
        self._busy_seconds = 0.0

    def add_unit(self, slot: Slot | None) -> None:
        """A unit was played."""
        self._index.append(metrics.GAP if slot is None else slot.index)
        self._sequence.append(metrics.GAP if slot is None else slot.sequence)
        self.num_units += 1

    def add_response(self, response: Response) -> None:
        """A request came back; its first unit is due when the playhead gets there."""
        self.num_responses += 1
        self.deadline_misses += response.request.start < self.num_units
        spent = response.done_seconds - response.taken_seconds
        self._busy_seconds += spent
        self._made_seconds += len(response.payloads) * self._unit_seconds
        self._round_trips.append((response.request.length, spent))

    def add_change(self, seconds: float) -> None:
        """The controls were changed, this long after the stream began."""
        self._changed.append(seconds)

    @property
    def index(self) -> Int[np.ndarray, "units"]:
        """Index of each remembered unit in its request's payload; -1 for a gap."""
        return np.array(self._index, np.int64)

    @property
    def sequence(self) -> Int[np.ndarray, "units"]:
        """Number of the controls that each remembered unit was made with; -1 for a gap."""
        return np.array(self._sequence, np.int64)

    @property
    def round_trips(self) -> list[tuple[int, float]]:
        """(units, seconds) of each remembered response: what a latency model is fitted to."""
        return list(self._round_trips)

    def control_delays(self) -> np.ndarray:
        """See `metrics.control_delays`; only while nothing has been forgotten.

        Raises:
          ValueError: if the stream is longer than the trace.
        """
        if self.num_units > len(self._sequence):
            raise ValueError(f"{self.num_units} units were played, {len(self._sequence)} are remembered; keep more units")
        return metrics.control_delays(list(self._changed), self.sequence, self._unit_seconds)

    def summary(self) -> metrics.Summary:
        """The figures of the remembered units."""
        index = self.index
        missed = metrics.missed(index)
        return metrics.Summary(
            isr=metrics.isr(index),
            staleness=metrics.staleness(index),
            isr_w=metrics.isr_w(index),
            underruns=int(np.sum(missed)),
            gaps=metrics.count_runs(missed),
            deadline_misses=self.deadline_misses,
            num_responses=self.num_responses,
            rtf=metrics.rtf(self._made_seconds, self._busy_seconds),
        )
