"""Worker: one device that serves one request at a time."""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from magenta_rt_py.live.clock import Clock, VirtualClock
from magenta_rt_py.live.generator import BatchGenerator, Generator, Request

Job = Callable[[], Sequence[Any]]
"""The work of a request, ready to run; a `BatchJob` may also be run together with others."""
ROUNDING_SECONDS = 1e-9
"""Times closer than this are the same."""


class Response(NamedTuple):
    """What came back."""

    request: Request
    payloads: tuple[Any, ...]
    """Empty if the job failed."""
    taken_seconds: float
    """When the device took the request, by the engine's clock."""
    done_seconds: float
    """When it was done."""
    error: str = ""
    """One line about what went wrong; empty if nothing did."""


@runtime_checkable
class Worker(Protocol):
    """A device. One thread talks to it."""

    @property
    def busy(self) -> bool:
        """Whether a request was started whose response has not been collected."""
        ...

    def start(self, request: Request, job: Job) -> None:
        """Begins to serve a request; returns at once."""
        ...

    def wait(self, until_seconds: float) -> Response | None:
        """Waits until the request is done or the time has come.

        Returns:
          the response, once; None if the time came first (or nothing was started).
        """
        ...

    def close(self) -> bool | None:
        """Lets the device go."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class BatchJob:
    """A job whose generator can serve several at once."""

    generator: BatchGenerator
    request: Request

    def __call__(self) -> Sequence[Any]:
        """The payload, made alone."""
        return self.generator.generate(self.request)


def job_of(generator: Generator, request: Request) -> Job:
    """The work of a request."""
    if isinstance(generator, BatchGenerator):
        return BatchJob(generator, request)
    return lambda: generator.generate(request)


def run_job(job: Job) -> tuple[tuple[Any, ...], str]:
    """The payloads, or none and a line about the failure. A broken model must not end the music."""
    try:
        return tuple(job()), ""
    except Exception as error:
        return (), f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


class SimulatedWorker:
    """A device on a virtual clock (stateful): the payload is made at once and held back for as long as it is told."""

    def __init__(self, clock: VirtualClock, latency: Callable[[Request], float]) -> None:
        """Starts idle.

        Args:
          clock: the engine's; `wait` moves it.
          latency: seconds that a request takes; infinity for a device that hangs.
        """
        self._clock = clock
        self._latency = latency
        self._response: Response | None = None

    @property
    def busy(self) -> bool:
        """See Worker."""
        return self._response is not None

    def start(self, request: Request, job: Job) -> None:
        """See Worker."""
        if self._response is not None:
            raise RuntimeError("the device is busy; collect its response before the next start")
        now = self._clock.now_seconds()
        payloads, error = run_job(job)
        self._response = Response(request, payloads, now, now + max(self._latency(request), 0.0), error)

    def wait(self, until_seconds: float) -> Response | None:
        """See Worker."""
        response = self._response
        if response is None or response.done_seconds > until_seconds + ROUNDING_SECONDS:
            self._clock.wait_until(until_seconds)
            return None
        self._clock.wait_until(response.done_seconds)
        self._response = None
        return response

    def close(self) -> None:
        """See Worker."""
        self._response = None


class ThreadWorker:
    """A device with a thread of its own (stateful). A job that never ends keeps the thread, never the caller."""

    def __init__(self, clock: Clock, *, name: str = "device") -> None:
        """Starts the thread.

        Args:
          clock: the engine's.
          name: the thread's, for debuggers.
        """
        self._clock = clock
        self._jobs: queue.SimpleQueue[tuple[Request, Job, float] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Response] = queue.SimpleQueue()
        self._busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """See Worker."""
        return self._busy

    def start(self, request: Request, job: Job) -> None:
        """See Worker."""
        if self._busy or self._closed:
            raise RuntimeError(f"the device is {'closed' if self._closed else 'busy'}; it takes one request at a time")
        self._busy = True
        self._jobs.put((request, job, self._clock.now_seconds()))

    def wait(self, until_seconds: float) -> Response | None:
        """See Worker."""
        if not self._busy:
            self._clock.wait_until(until_seconds)
            return None
        try:
            response = self._done.get(timeout=max(until_seconds - self._clock.now_seconds(), 0.0))
        except queue.Empty:
            return None
        self._busy = False
        return response

    def close(self, *, timeout_seconds: float = 0.0) -> bool:
        """Ends the thread once its job is done.

        Args:
          timeout_seconds: how long to wait for that. A process that ends while a model computes may end badly.
        Returns:
          whether the thread has ended.
        """
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        while (task := self._jobs.get()) is not None:
            request, job, taken_seconds = task
            payloads, error = run_job(job)
            self._done.put(Response(request, payloads, taken_seconds, self._clock.now_seconds(), error))
