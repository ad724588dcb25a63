"""The device on a virtual clock: the same choice of what goes together, each batch takes as long as its kind says."""

from magenta_rt_py.live.worker import Response
from magenta_rt_py.serve import batching

SLIGHTLY = 1e-9


class VirtualDevice:
    """As `serve.device.Device`, moved on by `advance`.

    Attributes:
      clock: of all the sessions.
      runs: (when it began, requests served at once) of each batch.
    """

    def __init__(self, clock, *, window_seconds=batching.WINDOW_SECONDS) -> None:
        self.clock, self.runs = clock, []
        self._window_seconds = window_seconds
        self._workers, self._waiting, self._running = set(), [], []
        self._free_seconds, self._age = 0.0, 0

    def worker(self, lead_seconds):
        """See Device."""
        worker = VirtualWorker(self, lead_seconds)
        self._workers.add(worker)
        return worker

    def put(self, worker, request, job) -> None:
        """A session asks."""
        kind = batching.kind_of(job)
        self._waiting.append((worker, request, job, kind, self.clock.now_seconds(), self._age))
        self._age += 1

    def leave(self, worker) -> None:
        """A session goes: what it waits for is dropped."""
        self._workers.discard(worker)
        self._waiting = [task for task in self._waiting if task[0] is not worker]

    def advance(self) -> None:
        """Does what would have been done by now."""
        now = self.clock.now_seconds()
        while True:
            if self._running and self._free_seconds <= now + SLIGHTLY:
                for (worker, request, _, _, came, _), (payloads, error) in self._running:
                    worker.answer = Response(request, payloads, came, self._free_seconds, error)
                self._running = []
            if self._running or not self._waiting:
                return
            seen = [batching.Waiting(kind, worker.lead(), came, age) for worker, _, _, kind, came, age in self._waiting]
            choice = batching.choose(seen, now, sessions=len(self._workers), window_seconds=self._window_seconds)
            if not choice.chosen:
                return
            tasks = [self._waiting[place] for place in choice.chosen]
            self._waiting = [task for task in self._waiting if task not in tasks]
            self._running = list(zip(tasks, batching.run_together([task[2] for task in tasks]), strict=True))
            self._free_seconds = now + tasks[0][3].batch_seconds(len(tasks))
            self.runs.append((now, len(tasks)))


class VirtualWorker:
    """A `live.worker.Worker`."""

    def __init__(self, device, lead_seconds) -> None:
        self._device, self.lead = device, lead_seconds
        self.answer, self._busy = None, False

    @property
    def busy(self) -> bool:
        """See Worker."""
        return self._busy

    def start(self, request, job) -> None:
        """See Worker."""
        self._busy = True
        self._device.put(self, request, job)

    def wait(self, until_seconds):
        """See Worker; time is moved on by whoever moves all sessions."""
        answer, self.answer = self.answer, None
        if answer is not None:
            self._busy = False
        return answer

    def close(self) -> None:
        """See Worker."""
        self._device.leave(self)
