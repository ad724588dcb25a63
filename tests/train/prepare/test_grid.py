"""Straight beats are found with their bar lines; breathing ones and noise are refused."""

import numpy as np
import pytest

from magenta_rt_py.train.evaluation.beat_tracking import CURVE_HZ
from magenta_rt_py.train.prepare.grid import Harmony, find_grid


def curve_of(times, seconds, heights):
    """An onset curve with peaks at the given seconds."""
    curve = np.abs(np.random.default_rng(0).normal(0, 0.05, round(seconds * CURVE_HZ))).astype(np.float32)
    for time, height in zip(times, heights):
        place = round(time * CURVE_HZ)
        curve[place : place + 3] += height * np.array([1.0, 0.6, 0.2], np.float32)[: len(curve) - place]
    return curve


def harmony_of(bar_seconds, first, seconds):
    """A pitch class and a bass that change on every bar line; the bass fades within the bar."""
    bars = (np.arange(round(20 * seconds)) / 20 - first) / bar_seconds
    chords = np.eye(12, dtype=np.float32)[(5 * np.floor(bars).astype(int)) % 12] + 0.1
    return Harmony(chords.astype(np.float32), ((1.2 - bars % 1)[:, None] * chords).astype(np.float32))


@pytest.mark.parametrize(("bpm", "first"), [(124.0, 0.31), (93.7, 1.9), (140.0, 0.0)])
def test_tempo_and_first_bar_of_a_straight_beat(bpm, first):
    beats = np.arange(int((59 - first) * bpm / 60))
    curve = curve_of(first + beats * 60 / bpm, 60, np.where(beats % 4 == 0, 5.0, 4.0))
    bar_seconds = 240 / bpm
    grid = find_grid(curve, harmony_of(bar_seconds, first, 60))
    assert grid is not None and grid.first_bar_samples is not None
    assert grid.bpm == pytest.approx(bpm, abs=0.05)
    late = (grid.first_bar_samples / 48_000 - first) % bar_seconds
    assert min(late, bar_seconds - late) < 0.02
    assert grid.bar_samples == pytest.approx(bar_seconds * 48_000, rel=1e-3)


def test_without_a_change_of_harmony_there_is_a_tempo_and_no_bar():
    beats = np.arange(0.2, 59, 0.5)
    curve = curve_of(beats, 60, np.full(len(beats), 4.0))
    even = np.random.default_rng(3).uniform(0.9, 1.1, (1200, 12)).astype(np.float32)
    for harmony in (None, Harmony(np.ones((1200, 12), np.float32), even)):
        grid = find_grid(curve, harmony)
        assert grid is not None and grid.bpm == pytest.approx(120, abs=0.05) and grid.first_bar_samples is None


def test_a_beat_that_speeds_up_has_no_grid():
    intervals = np.linspace(0.5, 0.45, 110)
    times = np.concatenate([[0.0], np.cumsum(intervals)])
    assert find_grid(curve_of(times, 60, np.full(len(times), 5.0))) is None


def test_noise_and_what_is_short_have_no_grid():
    noise = np.abs(np.random.default_rng(1).normal(0, 1, 6000)).astype(np.float32)
    assert find_grid(noise) is None
    assert find_grid(noise[:500]) is None
    assert find_grid(np.zeros(6000, np.float32)) is None
