"""Quantiles from the histogram are those of the durations, to 5 %."""

import math

import numpy as np
import pytest

from magenta_rt_py.io import durations


def test_quantiles_are_right_to_five_percent():
    taken = np.random.default_rng(0).lognormal(np.log(100_000), 1.0, 4_000).astype(np.int64)
    counts = np.zeros(durations.NUM_BINS, np.int64)
    for duration in taken.tolist():
        durations.note(counts, duration)
    for probability in (0.5, 0.99, 0.999, 1.0):
        exact = np.sort(taken)[math.ceil(probability * len(taken)) - 1] / 1e9
        assert exact <= durations.quantile(counts, probability) <= 1.05 * exact


def test_the_ends():
    counts = np.zeros(durations.NUM_BINS, np.int64)
    assert math.isnan(durations.quantile(counts, 0.999))
    durations.note(counts, 0)
    assert durations.quantile(counts, 0.999) == pytest.approx(1e-6)
    durations.note(counts, 10**12)
    assert durations.quantile(counts, 0.999) == pytest.approx(10.0, rel=0.05)
    assert counts.sum() == 2
