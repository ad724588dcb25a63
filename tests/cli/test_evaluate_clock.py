"""Music against an outside clock: what falls behind for a minute is not hidden by the rest."""

import numpy as np
import pytest

from magenta_rt_py.cli import evaluate_clock
from magenta_rt_py.cli.evaluate_offline import Played
from magenta_rt_py.live.transport import Transport


def test_each_minute_is_judged():
    clock = evaluate_clock.DriftingClock(120.0, 130.0, seed=1)
    fine = np.arange(0, 125, 0.001)
    times = np.interp(np.arange(8, 230), clock.beats(fine), fine)
    times = times + np.where(times > 60.0, 0.04, 0.0)
    samples = np.zeros((48_000 * 120, 2), np.float32)
    burst = np.random.default_rng(1).normal(0.0, 0.3, (960, 2)) * np.linspace(1.0, 0.0, 960)[:, None] ** 2
    for at in times[times < 119.0]:
        samples[round(at * 48_000) :][:960] += burst
    row, off = evaluate_clock.against_clock(Played(samples, Transport(), 0.0, ()), clock, 120.0)
    first, second = row["median_by_minute_ms"]
    assert first < 10.0
    assert second == pytest.approx(40.0, abs=8.0)
    assert row["told_the_tempo"]["within_20_ms"] < 0.7
    assert len(off) > 200
