"""Clocks: absolute waits, virtual time."""

import itertools
import time

import pytest

from magenta_rt_py.live import clock as clock_module
from magenta_rt_py.live.clock import VirtualClock, WallClock


def test_virtual_time_moves_only_when_waited_on():
    clock = VirtualClock()
    began = time.perf_counter()
    clock.wait_until(3_600.0)
    assert time.perf_counter() - began < 0.5
    assert clock.now_seconds() == 3_600.0
    clock.wait_until(10.0)
    assert clock.now_seconds() == 3_600.0


def test_errors_of_waits_do_not_add_up(monkeypatch):
    """Every sleep takes 5 ms too long; a hundred ticks later the clock is still at most one such error late."""
    now = [100.0]

    class Time:
        @staticmethod
        def perf_counter():
            return now[0]

        @staticmethod
        def sleep(seconds):
            now[0] += seconds + 0.005

    monkeypatch.setattr(clock_module, "time", Time)
    clock = WallClock()
    for tick in range(100):
        clock.wait_until(0.04 * tick)
    assert clock.now_seconds() == pytest.approx(0.04 * 99 + 0.005, abs=1e-6)


def test_a_short_sleep_is_slept_again(monkeypatch):
    now = itertools.count(0.0, 0.25)
    naps = []

    class Time:
        @staticmethod
        def perf_counter():
            return float(next(now))

        @staticmethod
        def sleep(seconds):
            naps.append(seconds)

    monkeypatch.setattr(clock_module, "time", Time)
    WallClock().wait_until(1.0)
    assert naps == [0.75, 0.5, 0.25]
