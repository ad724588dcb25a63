"""Tap tempo: right for clean taps, near for human ones, not thrown by a missed tap, a bounce or one bad tap."""

import numpy as np
import pytest

from magenta_rt_py.live import tap

SECOND = 48_000


def tapped(seconds: list[float] | np.ndarray) -> tap.TapEstimate | None:
    state, estimate = tap.init_state(), None
    for moment in seconds:
        state, estimate = tap.step(state, round(moment * SECOND))
    return estimate


@pytest.mark.parametrize("bpm", [45.0, 90.0, 120.0, 287.0])
def test_clean_taps_give_tempo_and_beat(bpm):
    estimate = tapped(1.0 + np.arange(6) * 60 / bpm)
    assert estimate is not None
    assert estimate.bpm == pytest.approx(bpm, rel=1e-4)
    assert estimate.beat_sample == pytest.approx((1.0 + 5 * 60 / bpm) * SECOND, abs=2)
    assert estimate.jitter_seconds < 1e-4 and estimate.taps == 6


def test_two_taps_are_a_tempo_and_one_is_none():
    assert tapped([1.0]) is None
    estimate = tapped([1.0, 1.5])
    assert estimate is not None and estimate.bpm == pytest.approx(120.0)


def test_human_taps_are_near():
    random = np.random.default_rng(0)
    wrong = []
    for _ in range(40):
        estimate = tapped(1.0 + np.arange(8) * 0.5 + random.normal(0, 0.015, 8))
        wrong.append(abs(estimate.bpm - 120.0))
        assert estimate.jitter_seconds < 0.04
    assert np.quantile(wrong, 0.95) < 2.5


def test_a_missed_tap_and_a_bounce_do_not_matter():
    assert tapped([0, 0.5, 1.0, 2.0, 2.5]).bpm == pytest.approx(120.0)
    assert tapped([0, 0.5, 0.56, 1.0, 1.5, 1.55]).bpm == pytest.approx(120.0)


def test_one_tap_far_off_does_not_turn_the_line():
    estimate = tapped([0, 0.5, 1.0, 1.5, 2.13, 2.5, 3.0])
    assert estimate.bpm == pytest.approx(120.0, rel=0.01) and estimate.taps == 6


def test_a_new_tempo_is_followed():
    slow = np.arange(6) * 0.6
    assert tapped([*slow, 3.4, 3.8, 4.2]).bpm == pytest.approx(150.0, rel=0.01)
    assert tapped([*slow, 20.0, 20.4]).bpm == pytest.approx(150.0)  # after a long wait


def test_taps_must_come_in_order():
    state, _ = tap.step(tap.init_state(), 1000)
    with pytest.raises(ValueError, match="in order"):
        tap.step(state, 999)
