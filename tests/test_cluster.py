"""How a cluster on this machine is started; real ones: tests/train/prepare/test_cluster.py, tests/serve/test_replicas.py."""

import os

import pytest
import ray

from magenta_rt_py import cluster


@pytest.fixture
def started(monkeypatch):
    """In place of `ray.init`: `found` is what it was given, with the word on compiled files; it fails `failing` times."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    found, ended = [], []

    def init(**settings):
        found.append((settings, os.environ.get("PYTHONDONTWRITEBYTECODE")))
        if len(found) <= init.failing:
            raise RuntimeError("the current node timed out during startup")

    init.failing = 0
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: ended.append(len(found)))
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    init.found, init.ended = found, ended
    return init


def test_its_processes_keep_what_they_compile(started):
    with cluster.joined("a test", cores=2):
        assert os.environ["PYTHONDONTWRITEBYTECODE"] == "1"  # this process does as it was told
        assert started.ended == []
    ((settings, word),) = started.found
    assert word is None and settings["num_cpus"] == 2 and not settings["include_dashboard"]
    assert started.ended == [1]


def test_what_plays_is_not_put_behind_everything_else(started):
    for niceness in ({}, {"niceness": 0}):
        with cluster.joined("a test", cores=1, **niceness):
            pass
    assert [settings["_system_config"]["worker_niceness"] for settings, _ in started.found] == [cluster.BACKGROUND, 0]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_slow_start_is_tried_once_more(started, failing):
    started.failing = failing
    if failing == 1:
        with cluster.joined("a test", cores=1):
            assert started.ended == [1]
    else:
        with pytest.raises(RuntimeError, match="timed out"), cluster.joined("a test", cores=1):
            pass
    assert len(started.found) == 2 and os.environ["PYTHONDONTWRITEBYTECODE"] == "1"


def test_a_cluster_that_runs_is_not_told_how(started):
    with cluster.joined("a test", address="auto", cores=1):
        pass
    assert set(started.found[0][0]) == {"address", "log_to_driver", "configure_logging"}


def test_the_reason_is_the_last_line():
    assert cluster.reason_of(RuntimeError("one\n  two \n\n")) == "two"
    assert cluster.reason_of(RuntimeError()) == "RuntimeError"
