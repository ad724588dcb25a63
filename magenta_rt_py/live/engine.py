"""Engine: the loop that asks, waits, merges and plays, unit by unit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from magenta_rt_py.live.clock import Clock
from magenta_rt_py.live.generator import Generator, Request
from magenta_rt_py.live.merge import Merge, Segment
from magenta_rt_py.live.overload import RequestQueue
from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.timeline import Slot, Timeline
from magenta_rt_py.live.trace import Trace
from magenta_rt_py.live.triggers import Periodic, Trigger
from magenta_rt_py.live.worker import Response, Worker

KEPT_FAULTS = 100
"""The latest faults that are remembered."""
STALLED_SECONDS = 5.0
"""A device that has not answered for so long is reported."""


class Fault(NamedTuple):
    """Something went wrong and the stream played on."""

    unit: int
    """When, as the unit that was about to be played."""
    message: str
    """One line."""


class Engine:
    """One stream on one device (stateful shell; one thread runs it).

    Each unit, in this order: place what has come back; ask, if the trigger says so; play. While it waits for the next
    unit it gives the device the next waiting request as soon as the device is free. The device takes the controls as
    they are at that moment, and the history as it was when the request was asked.

    Attributes:
      timeline: what is and was to be played.
      trace: what happened, for the metrics.
      faults: the latest things that went wrong.
    """

    def __init__(
        self,
        plan: Plan,
        generator: Generator,
        worker: Worker,
        clock: Clock,
        *,
        trigger: Trigger | None = None,
        merge: Merge | None = None,
        seed: int = 0,
    ) -> None:
        """Starts at unit 0, at the clock's present time.

        Args:
          plan: the numbers.
          generator: the model.
          worker: the device it runs on, on the same clock.
          clock: wall or virtual.
          trigger: when to ask; None asks every `plan.interval` units.
          merge: how new takes over from old; None overwrites.
          seed: of the stream, handed to the generator.
        """
        self.plan = plan
        self.timeline = Timeline(merge, history_units=plan.context + plan.horizon)
        self.trace = Trace(plan.unit_seconds)
        self.faults: deque[Fault] = deque(maxlen=KEPT_FAULTS)
        self._generator = generator
        self._worker = worker
        self._clock = clock
        self._trigger: Trigger = trigger or Periodic()
        self._queue: RequestQueue[Request] = RequestQueue(plan.overload)
        self._arrived: list[Response] = []
        self._origin_seconds = clock.now_seconds()
        self._seed = seed
        self._controls: Any = None
        self._sequence = 0
        self._num_events = 0
        self._num_requests = 0
        self._valid_from = 0
        self._taken_seconds = 0.0
        self._stall_reported = False

    @property
    def controls(self) -> Any:
        """The snapshot that the next request will be made with."""
        return self._controls

    @property
    def num_forgotten(self) -> int:
        """Requests that were never served."""
        return self._queue.num_forgotten

    def set_controls(self, controls: Any) -> int:
        """Takes a new snapshot, never to be changed after; returns its sequence number."""
        self._controls = controls
        self._sequence += 1
        self.trace.add_change(self._clock.now_seconds() - self._origin_seconds)
        return self._sequence

    def notify(self) -> None:
        """Tells the trigger, at the next unit, that something happened: a tap, a note."""
        self._num_events += 1

    def clear(self) -> None:
        """Drops all that is not frozen, and every answer still to come: a stop, a rewind, a change of roles."""
        self.timeline.clear(self.timeline.playhead)
        self._queue.clear()
        self._valid_from = self._num_requests

    def run(self, num_units: int, *, on_unit: Callable[[int, Slot | None], None] | None = None) -> None:
        """Plays units, each at its time.

        Args:
          num_units: how many.
          on_unit: given every unit and what is played in it (None for a gap).
        """
        for _ in range(num_units):
            unit = self.timeline.playhead
            self._wait(self._origin_seconds + unit * self.plan.unit_seconds)
            slot = self.step()
            if on_unit:
                on_unit(unit, slot)

    def step(self) -> Slot | None:
        """Plays one unit now; None is a gap. `run` calls it in time; a caller with a clock of its own may, too."""
        unit = self.timeline.playhead
        self._collect()
        self._watch()
        span = self._trigger.span(unit, self.plan, num_events=self._num_events)
        self._num_events = 0
        if span is not None:
            request = Request(self._num_requests, unit, span.start, span.length, seed=self._seed)
            self._num_requests += 1
            self._queue.put(request, busy=self._worker.busy)
            self._dispatch()
            self._collect()
        slot = self.timeline.play()
        self.timeline.freeze(unit + 1 + self.plan.commit)
        self.trace.add_unit(slot)
        return slot

    def _collect(self) -> None:
        """Places everything that is there."""
        if self._worker.busy:
            self._wait(self._clock.now_seconds())
        for response in self._arrived:
            self._place(response)
        self._arrived.clear()

    def _wait(self, until_seconds: float) -> None:
        """Lets time pass, and keeps the device busy meanwhile."""
        while (response := self._worker.wait(until_seconds)) is not None:
            self._arrived.append(response)
            self._dispatch()

    def _dispatch(self) -> None:
        if self._worker.busy or (request := self._queue.take()) is None:
            return
        bound = request._replace(
            history=self.timeline.played(request.asked_at - self.plan.context, request.asked_at)
            if self._remembers(request)
            else (),
            controls=self._controls,
            sequence=self._sequence,
        )
        self._taken_seconds, self._stall_reported = self._clock.now_seconds(), False
        self._worker.start(bound, lambda: self._generator.generate(bound))

    def _watch(self) -> None:
        """Says once when the device hangs. The music plays on from backup, then stops; only a new device helps."""
        waited = self._clock.now_seconds() - self._taken_seconds
        if self._worker.busy and not self._stall_reported and waited > STALLED_SECONDS:
            self._stall_reported = True
            self._fault(f"the device has not answered for {waited:.0f} s; if it stays so, restart it")

    def _remembers(self, request: Request) -> bool:
        """A request that waited so long that its history is gone is served without: its answer is long too late."""
        oldest = self.timeline.playhead - self.plan.context - self.plan.horizon
        return request.asked_at - self.plan.context >= oldest

    def _place(self, response: Response) -> None:
        request = response.request
        if request.number < self._valid_from:
            return
        self.trace.add_response(response)
        if response.error:
            self._fault(f"request {request.number} failed ({response.error}); playing on from backup")
            return
        if len(response.payloads) > request.length:
            self._fault(f"request {request.number} brought {len(response.payloads)} units, cut to {request.length}")
        try:
            self.timeline.put(
                Segment(request.number, request.start, response.payloads[: request.length], request.sequence)
            )
        except ValueError as error:
            self._fault(str(error))

    def _fault(self, message: str) -> None:
        self.faults.append(Fault(self.timeline.playhead, message))
