"""Device: one thread that serves the model requests of all sessions, the most urgent first.

    session A   start -> |..waits..|##### batch #####| -> wait collects it
    session B   start -> |### batch ###|                       B's sound would have run out first
    session C   start ----------> |..|##### batch #####|       C came while the device was at work, and goes with A
    device      one batch at a time; whoever has the smallest lead when it is free goes next, of equals the eldest, and
                takes along whose requests are of the same kind (batching.py)

A session that waits for its answer waits alone: `start` and `wait` never block on another one. A job that fails is its own
session's answer, in a batch too. The round trip that a session sees includes its wait for the others, so its planner asks
for longer pieces as the room fills.

Stateful; any thread.
"""

from __future__ import annotations

import dataclasses
import math
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from magenta_rt_py.live.clock import Clock, WallClock
from magenta_rt_py.live.generator import Kind, Request
from magenta_rt_py.live.worker import Job, Response
from magenta_rt_py.serve import batching

__all__ = ["Device", "DeviceStatus", "DeviceWorker"]

FRAME_SECONDS = 0.04
HUNG_SECONDS = 8.0
"""A job that takes longer is reported."""
WINDOW_SECONDS = 60.0
"""What `rtf` looks back on."""


class DeviceStatus(NamedTuple):
    """How the device is doing."""

    workers: int
    """Sessions that use it."""
    waiting: int
    """Requests that wait."""
    busy_seconds: float
    """How long the present job has taken so far; 0 if there is none."""
    rtf: float
    """See `Device.rtf`."""
    problem: str | None
    """That a job does not end, in one line; None if all is well."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Task:
    """A request that waits."""

    worker: DeviceWorker
    request: Request
    job: Job
    kind: Kind
    age: int
    taken_seconds: float


class Device:
    """One model, many sessions. See the module's head.

    Attributes:
      clock: whose time the answers carry; every session on this device keeps it.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        hung_seconds: float = HUNG_SECONDS,
        window_seconds: float = batching.WINDOW_SECONDS,
    ) -> None:
        """Starts the thread.

        Args:
          clock: of all the sessions; None is a wall clock.
          hung_seconds: a job that takes longer is reported.
          window_seconds: a request waits so long for company at most.
        """
        self.clock: Clock = clock or WallClock()
        self._hung_seconds, self._window_seconds = hung_seconds, window_seconds
        self._free = threading.Condition()
        self._waiting: list[_Task] = []
        self._workers: set[DeviceWorker] = set()
        self._running: list[_Task] = []
        self._began_seconds = 0.0
        self._age, self._closed = 0, False
        self._done: deque[tuple[float, float, float]] = deque()  # (when, seconds of sound, seconds of work)
        self._made_seconds = self._spent_seconds = 0.0  # of all of them
        self._thread = threading.Thread(target=self._serve, name="device", daemon=True)
        self._thread.start()

    @property
    def rtf(self) -> float:
        """Seconds of sound made for each second of work, over the last minute; NaN if there was no work.

        Backup that was made and never played counts: it says what the device can do, not what is heard.
        """
        with self._free:
            since = self.clock.now_seconds() - WINDOW_SECONDS
            while self._done and self._done[0][0] < since:
                _, made, spent = self._done.popleft()
                self._made_seconds, self._spent_seconds = self._made_seconds - made, self._spent_seconds - spent
            if not self._done:  # what rounding has left is not work
                self._made_seconds = self._spent_seconds = 0.0
            return self._made_seconds / self._spent_seconds if self._spent_seconds > 0.0 else math.nan

    @property
    def status(self) -> DeviceStatus:
        """How it is doing now."""
        rtf = self.rtf
        with self._free:
            busy = self.clock.now_seconds() - self._began_seconds if self._running else 0.0
            count, waiting = len(self._workers), len(self._waiting)
        problem = None
        if busy > self._hung_seconds:
            problem = f"the model has not answered for {busy:.0f} s; if it stays so, restart the server"
        return DeviceStatus(count, waiting, busy, rtf, problem)

    def worker(self, lead_seconds: Callable[[], float]) -> DeviceWorker:
        """The device as one session sees it.

        Args:
          lead_seconds: seconds of sound until the session has none; asked on the device's thread, must return at once. One
            that fails, or says NaN, comes last.
        Raises:
          RuntimeError: the device is closed.
        """
        worker = DeviceWorker(self, lead_seconds)
        with self._free:
            if self._closed:
                raise RuntimeError("the device is closed; make another")
            self._workers.add(worker)
        return worker

    def close(self, *, timeout_seconds: float = 5.0) -> bool:
        """Drops what waits, and ends the thread once its job is done.

        Args:
          timeout_seconds: how long to wait for that. A process that ends while a model computes may end badly.
        Returns:
          whether the thread has ended.
        """
        with self._free:
            self._closed = True
            self._waiting.clear()
            self._free.notify_all()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _put(self, worker: DeviceWorker, request: Request, job: Job) -> None:
        kind = batching.kind_of(job)
        with self._free:
            if self._closed:
                raise RuntimeError("the device is closed; it takes no more requests")
            self._waiting.append(_Task(worker, request, job, kind, self._age, self.clock.now_seconds()))
            self._age += 1
            self._free.notify_all()

    def _withdraw(self, worker: DeviceWorker) -> bool:
        """A session is gone: what it waits for is dropped. Returns whether the device has nothing of it at work."""
        with self._free:
            self._workers.discard(worker)
            self._waiting = [task for task in self._waiting if task.worker is not worker]
            return all(task.worker is not worker for task in self._running)

    def _serve(self) -> None:
        while tasks := self._take():
            answers = batching.run_together([task.job for task in tasks])
            now = self.clock.now_seconds()
            with self._free:
                self._running = []
                made, spent = sum(len(payloads) for payloads, _ in answers) * FRAME_SECONDS, now - self._began_seconds
                self._done.append((now, made, spent))
                self._made_seconds, self._spent_seconds = self._made_seconds + made, self._spent_seconds + spent
            while tasks:  # emptied, or the last answer of a session that is gone would be kept while nobody asks
                task, (payloads, error) = tasks.pop(), answers.pop()
                task.worker._deliver(Response(task.request, payloads, task.taken_seconds, now, error))
            del task, payloads

    def _take(self) -> list[_Task]:
        """The next batch; empty once the device is closed. Leads are asked without the lock: a session may need it."""
        window_seconds = self._window_seconds
        while True:
            with self._free:
                while not self._waiting and not self._closed:
                    self._free.wait()
                if self._closed:
                    return []
                waiting, age, sessions = list(self._waiting), self._age, len(self._workers)
            seen = [batching.Waiting(each.kind, each.worker._lead(), each.taken_seconds, each.age) for each in waiting]
            now = self.clock.now_seconds()
            choice = batching.choose(seen, now, sessions=sessions, window_seconds=window_seconds)
            chosen = [waiting[place] for place in choice.chosen]
            del waiting
            with self._free:
                if not chosen:
                    is_over = age == self._age and not self._closed and not self._free.wait(choice.until_seconds - now)
                    window_seconds = 0.0 if is_over else window_seconds
                elif all(task in self._waiting for task in chosen) and not self._closed:
                    self._waiting = [task for task in self._waiting if task not in chosen]
                    self._running, self._began_seconds = list(chosen), self.clock.now_seconds()
                    return chosen


class DeviceWorker:
    """A `live.worker.Worker`: one session's share of the device. One thread talks to it."""

    def __init__(self, device: Device, lead_seconds: Callable[[], float]) -> None:
        """Use `Device.worker`."""
        self._device, self._lead_seconds = device, lead_seconds
        self._done: queue.SimpleQueue[Response] = queue.SimpleQueue()
        self._busy = self._closed = False

    @property
    def busy(self) -> bool:
        """See Worker."""
        return self._busy

    def start(self, request: Request, job: Job) -> None:
        """See Worker."""
        if self._busy or self._closed:
            raise RuntimeError(f"the device is {'closed' if self._closed else 'busy'}; it takes one request at a time")
        self._device._put(self, request, job)
        self._busy = True

    def wait(self, until_seconds: float) -> Response | None:
        """See Worker."""
        clock = self._device.clock
        if not self._busy:
            clock.wait_until(until_seconds)
            return None
        try:
            response = self._done.get(timeout=max(until_seconds - clock.now_seconds(), 0.0))
        except queue.Empty:
            return None
        self._busy = False
        return response

    def close(self) -> bool:
        """Drops the request that waits; the answer to one at work goes nowhere. Returns at once. Any thread.

        Returns:
          whether the device has nothing of this session at work.
        """
        self._closed = True
        return self._device._withdraw(self)

    def _deliver(self, response: Response) -> None:
        if not self._closed:
            self._done.put(response)

    def _lead(self) -> float:
        try:
            lead = float(self._lead_seconds())
        except Exception:  # a broken session must not stop the others
            return math.inf
        return math.inf if math.isnan(lead) else lead
