"""A perfect device asks for every block once, when it is due."""

import numpy as np
import pytest

from magenta_rt_py.io.pace import Pace


def test_blocks_are_due_on_time_and_once():
    pace = Pace(480, 5.0)
    assert pace.next_seconds == pytest.approx(5.01)
    assert pace.take(5.0099, 10_000) == []
    assert pace.take(5.01, 10_000) == [480]
    assert pace.take(5.01, 10_000) == []
    assert pace.take(5.0401, 1000) == [480, 480, 40]
    assert pace.take(5.06, 0) == [0, 0]
    assert pace.next_seconds == pytest.approx(5.07)
    assert pace.take(1.0, 10_000) == []  # a time that goes back asks for nothing


def test_an_hour_has_every_sample():
    pace, taken, now = Pace(512, 0.0), 0, 0.0
    rng = np.random.default_rng(0)
    while now < 3600.0:
        now += float(rng.uniform(0.0, 5.0))
        taken += sum(pace.take(now, 10**9))
        assert 0 <= now * 48_000 - taken < 512.1
