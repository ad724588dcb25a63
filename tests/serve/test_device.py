"""One device for many: who goes first, who waits alone, and what happens to jobs that fail, hang, or belong to nobody."""

import gc
import math
import threading
import time
import weakref

import pytest

from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.generator import Kind, Request
from magenta_rt_py.live.worker import BatchJob, Worker
from magenta_rt_py.serve.device import Device

REQUEST = Request(0, 0, 0, 2)


@pytest.fixture
def device():
    made = Device()
    yield made
    made.close(timeout_seconds=5.0)


class Gate:
    """A job that is at work until it is let go."""

    def __init__(self, device, lead=0.0):
        self.worker, self.begun, self.go = device.worker(lambda: lead), threading.Event(), threading.Event()

    def start(self):
        self.worker.start(REQUEST, self._job)
        assert self.begun.wait(5.0)

    def _job(self):
        self.begun.set()
        self.go.wait(10.0)
        return "x"


def collect(device, worker, seconds=5.0):
    return worker.wait(device.clock.now_seconds() + seconds)


def test_an_answer_comes_back_as_from_any_worker(device):
    worker = device.worker(lambda: 0.0)
    assert isinstance(worker, Worker) and not worker.busy
    worker.start(REQUEST, lambda: ("a", "b"))
    assert worker.busy
    with pytest.raises(RuntimeError, match="busy"):
        worker.start(REQUEST, lambda: "c")
    response = collect(device, worker)
    assert (response.request, response.payloads, response.error) == (REQUEST, ("a", "b"), "")
    assert response.done_seconds >= response.taken_seconds
    assert not worker.busy
    assert worker.wait(device.clock.now_seconds() + 0.01) is None


def test_the_smallest_lead_goes_first_and_ties_go_by_age(device):
    gate, order = Gate(device), []
    gate.start()
    leads = {"late": 0.9, "first": 0.1, "tied a": 0.5, "tied b": 0.5, "broken": None, "nan": math.nan}

    def lead_of(name):
        return lambda: 1 / 0 if leads[name] is None else leads[name]

    workers = {name: device.worker(lead_of(name)) for name in leads}
    for name, worker in workers.items():
        worker.start(REQUEST, lambda name=name: order.append(name) or ())
    leads["late"] = 0.2  # asked when the thread is free, not when the request came
    gate.go.set()
    for worker in workers.values():
        assert collect(device, worker) is not None
    assert order == ["first", "late", "tied a", "tied b", "broken", "nan"]


def test_waiting_for_one_session_does_not_hold_up_another(device):
    gate = Gate(device)
    gate.start()
    other = device.worker(lambda: 0.0)
    began = time.perf_counter()
    other.start(REQUEST, lambda: "y")
    assert time.perf_counter() - began < 2.0
    assert other.wait(device.clock.now_seconds() + 0.02) is None and other.busy
    gate.go.set()
    assert collect(device, other).payloads == ("y",)


def test_an_error_is_one_sessions_own(device):
    def broken():
        raise SystemExit("no\nmemory")

    bad, good = device.worker(lambda: 0.0), device.worker(lambda: 1.0)
    bad.start(REQUEST, broken)
    good.start(REQUEST, lambda: "z")
    assert collect(device, bad).error == "SystemExit: no memory"
    answer = collect(device, good)
    assert answer.payloads == ("z",) and answer.error == ""


def test_a_closed_sessions_job_is_dropped(device):
    gate, ran = Gate(device), []
    gate.start()
    gone = device.worker(lambda: 0.0)
    gone.start(REQUEST, lambda: ran.append(1) or ())
    assert device.status.waiting == 1
    assert gone.close() is True
    assert device.status.waiting == 0
    assert gate.worker.close() is False  # its job is at work, and its answer goes nowhere
    gate.go.set()
    after = device.worker(lambda: 0.0)
    after.start(REQUEST, lambda: "w")
    assert collect(device, after).payloads == ("w",)
    assert ran == [] and device.status.workers == 1
    with pytest.raises(RuntimeError, match="closed"):
        gone.start(REQUEST, lambda: ())
    assert gate.worker.wait(device.clock.now_seconds() + 0.01) is None


def test_a_job_that_hangs_is_told_and_told_no_more_when_it_ends():
    device = Device(hung_seconds=0.05)
    gate = Gate(device)
    gate.start()
    ends = time.monotonic() + 5.0
    while device.status.problem is None and time.monotonic() < ends:
        time.sleep(0.01)
    assert "has not answered" in device.status.problem and device.status.busy_seconds > 0.05
    gate.go.set()
    assert collect(device, gate.worker) is not None
    assert device.status.problem is None and device.status.busy_seconds == 0.0
    assert device.close()


def test_rtf_is_sound_made_for_work_done(device):
    assert math.isnan(device.rtf)
    worker = device.worker(lambda: 0.0)
    for _ in range(3):
        worker.start(REQUEST, lambda: time.sleep(0.02) or [0] * 10)  # 0.4 s of sound
        assert collect(device, worker) is not None
    assert 0.5 < device.rtf < 20.0
    before = device.rtf
    worker.start(REQUEST, lambda: time.sleep(0.05) or 1 / 0)  # work for nothing
    assert collect(device, worker).error and device.rtf < before


def test_rtf_forgets_what_was_a_minute_ago():
    clock = VirtualClock()
    device = Device(clock=clock)
    worker = device.worker(lambda: 0.0)

    def work(seconds, frames):
        worker.start(REQUEST, lambda: clock.wait_until(clock.now_seconds() + seconds) or [0] * frames)
        assert worker._done.get(timeout=5.0)
        worker._busy = False

    work(1.0, 50)
    assert device.rtf == pytest.approx(2.0)
    clock.wait_until(50.0)
    work(1.0, 100)
    assert device.rtf == pytest.approx(3.0)
    clock.wait_until(70.0)
    assert device.rtf == pytest.approx(4.0)
    clock.wait_until(200.0)
    assert math.isnan(device.rtf)
    assert device.close()


def test_a_closed_device_takes_nothing():
    device = Device()
    worker = device.worker(lambda: 0.0)
    assert device.close() and device.close()
    with pytest.raises(RuntimeError, match="closed"):
        worker.start(REQUEST, lambda: ())
    assert not worker.busy
    with pytest.raises(RuntimeError, match="closed"):
        device.worker(lambda: 0.0)


def test_closing_a_device_that_hangs_is_bounded():
    device = Device()
    gate = Gate(device)
    gate.start()
    began = time.perf_counter()
    assert device.close(timeout_seconds=0.05) is False
    assert time.perf_counter() - began < 3.0
    gate.go.set()


def test_nothing_is_kept_of_a_session_that_is_gone(device):
    class Big:
        pass

    worker, big = device.worker(lambda: 0.0), Big()
    seen = weakref.ref(big)
    worker.start(REQUEST, lambda: [big])
    assert collect(device, worker) is not None
    worker.close()
    del worker, big
    ends = time.monotonic() + 5.0
    while seen() is not None and time.monotonic() < ends:
        gc.collect()
        time.sleep(0.01)
    assert seen() is None


def test_twelve_sessions_are_all_served(device):
    counts = [0] * 12

    def live(number):
        worker = device.worker(lambda: 0.5)
        for _ in range(20):
            worker.start(REQUEST, lambda: (number,))
            assert collect(device, worker, 20.0).payloads == (number,)
            counts[number] += 1
        worker.close()

    threads = [threading.Thread(target=live, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert counts == [20] * 12 and device.status.workers == 0


# Batches.


class Echo:
    """A model that answers with what was heard, and notes how many it served at once."""

    def __init__(self, kind="echo"):
        self.runs, self._kind = [], Kind(kind, (1, 2, 4), (0.0, 0.0, 0.0))

    def kind(self, request):
        return self._kind

    def begin(self, request):
        return request.heard

    def run(self, parts):
        if None in parts:
            raise RuntimeError("nothing heard")
        self.runs.append(len(parts))
        return list(parts)

    def end(self, request, made):
        return [made] * request.length

    def generate(self, request):
        return self.end(request, self.run([self.begin(request)])[0])


def ask(model, worker, heard):
    request = REQUEST._replace(heard=heard)
    worker.start(request, BatchJob(model, request))


def test_those_who_wait_go_together_and_each_gets_its_own(device):
    gate, model = Gate(device), Echo()
    gate.start()
    workers = [device.worker(lambda lead=lead: lead) for lead in (0.9, 0.2, 0.5, 0.8, 0.7, 0.3)]
    for number, worker in enumerate(workers):
        ask(model, worker, number)
    gate.go.set()
    for number, worker in enumerate(workers):
        assert collect(device, worker).payloads == (number, number)
    assert model.runs == [4, 2]


def test_one_that_fails_in_a_batch_takes_nobody_down(device):
    gate, model = Gate(device), Echo()
    gate.start()
    workers = [device.worker(lambda: 0.5) for _ in range(3)]
    for heard, worker in zip(("a", None, "c"), workers):
        ask(model, worker, heard)
    gate.go.set()
    answers = [collect(device, worker) for worker in workers]
    assert [answer.payloads for answer in answers] == [("a", "a"), (), ("c", "c")]
    assert answers[1].error == "RuntimeError: nothing heard" and not answers[0].error and not answers[2].error


def test_other_models_do_not_mix(device):
    gate, models = Gate(device), (Echo("one"), Echo("two"))
    gate.start()
    workers = [device.worker(lambda: 0.5) for _ in range(4)]
    for number, worker in enumerate(workers):
        ask(models[number % 2], worker, number)
    gate.go.set()
    for number, worker in enumerate(workers):
        assert collect(device, worker).payloads == (number, number)
    assert models[0].runs == models[1].runs == [2]


def test_one_that_leaves_while_a_batch_waits_is_not_in_it(device):
    gate, model = Gate(device), Echo()
    gate.start()
    workers = [device.worker(lambda: 0.5) for _ in range(3)]
    for number, worker in enumerate(workers):
        ask(model, worker, number)
    assert workers[1].close() is True
    gate.go.set()
    assert collect(device, workers[0]).payloads == (0, 0) and collect(device, workers[2]).payloads == (2, 2)
    assert model.runs == [2]


def test_a_lonely_request_waits_for_the_window_and_no_longer():
    """On a clock that stands still, too: nobody moves it while all wait for their answers."""
    for clock in (None, VirtualClock()):
        device, model = Device(clock=clock, window_seconds=0.2), Echo()
        worker, _ = device.worker(lambda: 10.0), device.worker(lambda: 10.0)
        began = time.perf_counter()
        ask(model, worker, 1)
        assert worker._done.get(timeout=10.0).payloads == (1, 1)
        assert time.perf_counter() - began >= 0.19 and model.runs == [1]
        assert device.close()


def test_with_everybody_there_nothing_is_waited_for():
    device, model = Device(window_seconds=30.0), Echo()
    workers = [device.worker(lambda: math.inf) for _ in range(2)]
    for number, worker in enumerate(workers):
        ask(model, worker, number)
    assert [collect(device, worker, 10.0).payloads for worker in workers] == [(0, 0), (1, 1)]
    assert model.runs == [2] and device.close()


def test_rtf_counts_all_sound_of_a_batch_for_its_work_once():
    clock, model = VirtualClock(), Echo()
    device = Device(clock=clock)
    run = model.run
    model.run = lambda parts: clock.wait_until(clock.now_seconds() + 1.0) or run(parts)
    gate = Gate(device)
    gate.start()
    workers = [device.worker(lambda: 0.5) for _ in range(4)]
    for worker in workers:
        request = REQUEST._replace(heard=1, length=50)
        worker.start(request, BatchJob(model, request))
    gate.go.set()
    for worker in workers:
        assert len(worker._done.get(timeout=5.0).payloads) == 50
    made = 4 * 2.0 + 0.04  # the gate's frame is work that took no time
    assert device.rtf == pytest.approx(made)
    assert device.close()
