"""Devices: simulated and threaded, well behaved and not."""

import threading
import time

import pytest

from magenta_rt_py.live.clock import VirtualClock, WallClock
from magenta_rt_py.live.generator import Request
from magenta_rt_py.live.worker import SimulatedWorker, ThreadWorker

REQUEST = Request(0, 0, 0, 2)


def broken():
    raise RuntimeError("no\nmemory")


def test_a_simulated_device_takes_its_time():
    clock = VirtualClock()
    worker = SimulatedWorker(clock, lambda request: 0.3)
    assert worker.wait(1.0) is None
    worker.start(REQUEST, lambda: "ab")
    with pytest.raises(RuntimeError, match="busy"):
        worker.start(REQUEST, lambda: "ab")
    assert worker.wait(1.2) is None
    assert clock.now_seconds() == 1.2
    response = worker.wait(9.0)
    assert clock.now_seconds() == pytest.approx(1.3)
    assert (response.payloads, response.error) == (("a", "b"), "")
    assert (response.taken_seconds, response.done_seconds) == pytest.approx((1.0, 1.3))
    assert not worker.busy and worker.wait(9.0) is None
    worker.start(REQUEST, broken)
    worker.close()
    assert not worker.busy


def test_a_failure_is_a_response_in_one_line():
    clock = VirtualClock()
    simulated, threaded = SimulatedWorker(clock, lambda request: 0.0), ThreadWorker(WallClock())
    for worker, until in ((simulated, 0.0), (threaded, 20.0)):
        worker.start(REQUEST, broken)
        response = worker.wait(until)
        assert (response.payloads, response.error) == ((), "RuntimeError: no memory")
        assert not worker.busy
    threaded.close()


def test_a_thread_works_while_the_caller_waits():
    clock = WallClock()
    worker = ThreadWorker(clock)
    gate = threading.Event()
    worker.start(REQUEST, lambda: (gate.wait(20.0), "x"))
    assert worker.busy
    began = time.perf_counter()
    assert worker.wait(clock.now_seconds() + 0.02) is None
    assert 0.01 < time.perf_counter() - began < 5.0
    with pytest.raises(RuntimeError, match="busy"):
        worker.start(REQUEST, lambda: ())
    gate.set()
    response = worker.wait(clock.now_seconds() + 20.0)
    assert response.payloads == (True, "x")
    assert response.done_seconds >= response.taken_seconds
    worker.close()
    worker._thread.join(20.0)
    assert not worker._thread.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        worker.start(REQUEST, lambda: ())
