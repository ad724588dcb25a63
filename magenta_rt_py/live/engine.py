"""Engine: the loop that asks, waits, merges and plays, unit by unit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from magenta_rt_py.live import chain
from magenta_rt_py.live.clock import Clock
from magenta_rt_py.live.generator import Generator, Request
from magenta_rt_py.live.merge import Merge, Segment
from magenta_rt_py.live.overload import RequestQueue
from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.timeline import Slot, Timeline
from magenta_rt_py.live.trace import Trace
from magenta_rt_py.live.triggers import Periodic, Trigger
from magenta_rt_py.live.worker import Response, Worker, job_of

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
    they are at that moment, and the history as it was when the request was asked; in a chained plan, as it is up to the
    first unit asked for.

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
        prepare: Callable[[Request], Request] | None = None,
        on_response: Callable[[Response], None] | None = None,
        seed: int = 0,
    ) -> None:
        """Starts at unit 0, at the clock's present time.

        Args:
          plan: the numbers.
          generator: the model.
          worker: the device it runs on, on the same clock.
          clock: wall or virtual.
          trigger: when to ask; None asks every `plan.interval` units. A chained plan has a rule of its own.
          merge: how new takes over from old; None overwrites.
          prepare: completes a request when the device takes it; its units up to the start are frozen by then.
          on_response: told of every answer that is still wanted, before it is placed.
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
        self._prepare = prepare or (lambda request: request)
        self._on_response = on_response or (lambda response: None)
        self._last_start: int | None = None
        self._turning: chain.TurningPoint | None = None
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
    def sequence(self) -> int:
        """Its number."""
        return self._sequence

    @property
    def num_forgotten(self) -> int:
        """Requests that were never served."""
        return self._queue.num_forgotten

    def set_controls(self, controls: Any, *, sequence: int | None = None) -> int:
        """Takes a new snapshot, never to be changed after; returns its sequence number: the one given, or the next."""
        self._controls = controls
        self._sequence = self._sequence + 1 if sequence is None else sequence
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
        self._last_start = None

    def replan(self, plan: Plan) -> None:
        """Goes on with other numbers from the next request on.

        Raises:
          ValueError: the unit, or whether requests are chained, differs, or more context is wanted than is remembered.
        """
        old = self.plan
        same = (plan.unit_seconds, plan.chained) == (old.unit_seconds, old.chained) and plan.context <= old.context
        if not same:
            raise ValueError(f"a plan {plan} after {old}; only interval, look-ahead, horizon and commit may change")
        self.plan = plan

    def turn(self, unit: int, past: tuple[Any, ...]) -> None:
        """From a unit on, a chained stream goes on from another past: its beginning, a snapshot, a rewind.

        Args:
          unit: not yet frozen.
          past: payloads of the units before it, newest last.
        Raises:
          ValueError: the unit can no longer change.
        """
        self.timeline.rebase(unit, past)
        waiting = self._turning
        if waiting is not None and not waiting.is_reached and waiting.unit <= min(unit - 1, self.timeline.frozen_until):
            # The music has got to a turn that is now overtaken: an answer to a request from before it must not go on.
            self._valid_from = max(self._valid_from, waiting.first_request)
        self._turning = chain.TurningPoint(unit, self._num_requests)

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
        """Plays one unit now; None is a gap. `run` calls it in time; a caller with a clock of its own may, too.

        A chained stream stands still in a gap: the same unit is tried again in the next step.
        """
        unit = self.timeline.playhead
        self._collect()
        self._watch()
        if self.plan.chained:
            self._ask_chained()
            if self.timeline.at(unit) is None:
                return None
            return self._play(unit)
        span = self._trigger.span(unit, self.plan, num_events=self._num_events)
        self._num_events = 0
        if span is not None:
            request = Request(self._num_requests, unit, span.start, span.length, seed=self._seed)
            self._num_requests += 1
            self._queue.put(request, busy=self._worker.busy)
            self._dispatch()
            self._collect()
        return self._play(unit)

    def _play(self, unit: int) -> Slot | None:
        slot = self.timeline.play()
        self.timeline.freeze(unit + 1 + self.plan.commit)
        self.trace.add_unit(slot)
        return slot

    def _ask_chained(self) -> None:
        """Gives the free device the next request, if it is time; a device that answers at once is heard at once."""
        if self._worker.busy:
            return
        span = chain.span(self.timeline, self.plan, self._last_start, self._turning)
        if span is None:
            return
        self.timeline.freeze(span.start)
        request = Request(
            number=self._num_requests,
            asked_at=self.timeline.playhead,
            start=span.start,
            length=span.length,
            history=self.timeline.known(span.start - self.plan.context, span.start),
            controls=self._controls,
            sequence=self._sequence,
            seed=self._seed,
        )
        self._num_requests += 1
        self._last_start = span.start
        if self._turning is not None and span.start == self._turning.unit:
            self._turning = self._turning._replace(is_reached=True, first_request=request.number)
        self._start(self._prepare(request))
        self._collect()

    def _start(self, bound: Request) -> None:
        self._taken_seconds, self._stall_reported = self._clock.now_seconds(), False
        self._worker.start(bound, job_of(self._generator, bound))

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
        self._start(self._prepare(bound))

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
        self._on_response(response)
        if response.error:
            self._fault(f"request {request.number} failed ({response.error}); playing on from backup")
            return
        if len(response.payloads) > request.length:
            self._fault(f"request {request.number} brought {len(response.payloads)} units, cut to {request.length}")
        length = request.length
        if self._turning is not None and request.number < self._turning.first_request:
            length = min(length, max(0, self._turning.unit - request.start))
        try:
            self.timeline.put(Segment(request.number, request.start, response.payloads[:length], request.sequence))
        except ValueError as error:
            self._fault(str(error))

    def _fault(self, message: str) -> None:
        self.faults.append(Fault(self.timeline.playhead, message))
