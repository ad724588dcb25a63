"""Times add up over runs and are there before a stage has ended."""

import time

import pytest

from magenta_rt_py.train.starter import stopwatch
from magenta_rt_py.train.starter.stopwatch import Stopwatch, Times, read_times


def test_times_add_up_over_runs(tmp_path):
    assert read_times(tmp_path, "codec") == Times(0.0, 0.0)
    for _ in range(2):
        with Stopwatch(tmp_path, "codec"):
            time.sleep(0.2)
    assert read_times(tmp_path, "codec").wall_seconds == pytest.approx(0.4, abs=0.15)


def test_a_killed_stage_forgets_one_interval_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr(stopwatch, "INTERVAL_SECONDS", 0.05)
    with Stopwatch(tmp_path, "lm"):
        deadline = time.monotonic() + 5.0
        while read_times(tmp_path, "lm").wall_seconds < 0.2:
            assert time.monotonic() < deadline, "nothing was written while the stage ran"
            time.sleep(0.05)
