"""The figures, against figures counted by hand."""

import math

import numpy as np
import pytest

from magenta_rt_py.live import metrics

INDEX = np.array([-1, -1, 0, 1, -1, -1, 2, 0, -1, 3])


def test_by_hand():
    assert metrics.isr(INDEX) == 0.5
    assert metrics.staleness(INDEX) == pytest.approx(6 / 5)
    assert metrics.isr_w(INDEX) == pytest.approx((5 - 6 / 32) / 10)
    assert metrics.isr_w(INDEX, longest=4) == pytest.approx((5 - 6 / 4) / 10)
    assert metrics.missed(INDEX).tolist() == [False] * 4 + [True, True, False, False, True, False]
    assert metrics.count_runs(metrics.missed(INDEX)) == 2


def test_nothing():
    empty, silent = np.zeros(0, int), np.full(4, -1)
    assert math.isnan(metrics.isr(empty)) and math.isnan(metrics.isr_w(empty)) and math.isnan(metrics.staleness(empty))
    assert metrics.isr(silent) == 0.0 == metrics.isr_w(silent)
    assert math.isnan(metrics.staleness(silent))
    assert not metrics.missed(silent).any() and not metrics.missed(empty).any()


def test_weights_never_raise_the_rate():
    rng = np.random.default_rng(0)
    for _ in range(50):
        index = rng.integers(-1, 20, 30)
        assert metrics.isr_w(index) <= metrics.isr(index)
        assert metrics.isr_w(np.minimum(index, 0)) == metrics.isr(index)


@pytest.mark.parametrize(("flags", "runs"), [("", 0), ("1", 1), ("0110", 1), ("1011", 2), ("10101", 3)])
def test_runs(flags, runs):
    assert metrics.count_runs(np.array([flag == "1" for flag in flags], bool)) == runs


def test_rtf():
    assert metrics.rtf(4.0, 2.0) == 2.0
    assert math.isnan(metrics.rtf(4.0, 0.0))


def test_control_delays():
    played = np.array([0, 0, 1, 1, -1, 1, 3, 3])
    delays = metrics.control_delays([0.1, 0.3, 0.35, 0.7], played, 0.1)
    np.testing.assert_allclose(delays, [0.1, 0.3, 0.25, np.nan], atol=1e-9)
    assert metrics.control_delays([], played, 0.1).shape == (0,)
    assert np.isnan(metrics.control_delays([0.0], np.zeros(0, int), 0.1)).all()
