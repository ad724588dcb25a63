"""Figures of request times, and the programs they come from."""

import time

import pytest

from magenta_rt_py.generators import system
from magenta_rt_py.speed import timing
from magenta_rt_py.speed.first_sound import PROGRAM, first_sound


def test_quantiles_lie_where_they_must():
    figures = timing.quantiles([float(number) for number in range(1001)])
    assert figures == {"p50": 500.0, "p95": 950.0, "p99": 990.0, "p999": pytest.approx(999.0), "max": 1000.0}
    assert timing.quantiles([]) == dict.fromkeys(figures)
    one = timing.quantiles([0.25])
    assert set(one.values()) == {0.25}


def test_calls_are_timed():
    calls, told = [], []

    def request():
        calls.append(1)
        time.sleep(0.02 if len(calls) == 1 else 0.001)

    figures = timing.time_calls(request, 0.04, timing.PROGRESS_EVERY, say=told.append)
    assert figures["requests"] == len(calls) == timing.PROGRESS_EVERY
    assert figures["worst_seconds"] >= 0.02 > figures["p50_seconds"] >= 0.001
    assert figures["rtf"] <= timing.PROGRESS_EVERY * 0.04 / (0.02 + (timing.PROGRESS_EVERY - 1) * 0.001)
    assert len(told) == 1 and "50 of 50 requests of 0.04 s" in told[0]


def test_a_slow_model_is_not_asked_for_longer_than_the_limit():
    figures = timing.time_calls(lambda: time.sleep(0.01), 1.0, 1000, limit_seconds=0.001)
    assert figures["requests"] == timing.FEWEST_REQUESTS


def test_parts_of_a_request_add_up(tiny_bundle):
    model = system.load(tiny_bundle)
    stream = model.stream(seed=1)
    while not stream.is_warm:
        stream.next_chunk()
    state = stream.state
    started = time.perf_counter()
    parts = timing.time_parts(model.models, stream, 2)
    spent = time.perf_counter() - started
    assert set(parts) == {"language_model_seconds", "refinement_seconds", "codec_seconds"}
    assert all(value > 0 for value in parts.values()) and 2 * sum(parts.values()) <= spent
    assert stream.state is state  # the stream is where it was


def test_first_sound_is_timed_with_an_empty_and_then_the_filled_cache():
    """A stand-in program: it notes in the cache folder that it ran, and is slow while that folder is empty."""
    program = """
import os, pathlib, sys, time
assert "JAX_COMPILATION_CACHE_DIR" not in os.environ and sys.argv[1] == "bundle"
cache = pathlib.Path(os.environ["MRT_COMPILATION_CACHE"])
time.sleep(0 if list(cache.iterdir()) else 1.5)
(cache / "compiled").touch()
"""
    told = []
    figures = first_sound(program, ["bundle"], say=told.append)
    assert figures["empty_cache"] >= 1.5
    assert 0 < figures["filled_cache"]
    assert len(told) == 2


def test_a_program_that_fails_says_why():
    with pytest.raises(RuntimeError, match="no such thing"):
        first_sound("raise SystemExit('no such thing')")


def test_first_sound_program_makes_sound(tiny_bundle, monkeypatch):
    """The program itself, in this process, where most is compiled already."""
    monkeypatch.setattr("sys.argv", ["first_sound", str(tiny_bundle)])
    names = {}
    exec(PROGRAM, names)
    assert names["model"].bundle.path == tiny_bundle
