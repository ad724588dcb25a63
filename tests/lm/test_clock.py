"""Clock rows at places whose phases are known."""

import numpy as np
import pytest

from magenta_rt_py.lm import clock


def test_phases_of_bar_half_bar_beat_eighth_and_sixteenth():
    row = clock.clock_features(np.array([1.0]), 240.0)[0]
    # Beat 1 is a quarter of the bar, half of the half bar, and the start of everything shorter.
    np.testing.assert_allclose(row, [1, 0, 0, -1, 0, 1, 0, 1, 0, 1, 1], atol=1e-6)
    assert row.dtype == np.float32
    sixteenth = clock.clock_features(np.array([0.0625]), 60.0)[0]
    np.testing.assert_allclose(sixteenth[8:], [1, 0, -1], atol=1e-6)


def test_rows_repeat_every_bar_even_before_the_start_and_far_out():
    beats = np.array([-4.0, 0.0, 4.0, 4.0e6]) + 0.3
    rows = clock.clock_features(beats, 120.0)
    np.testing.assert_allclose(rows, rows[:1].repeat(4, 0), atol=1e-6)


def test_each_row_of_a_batch_may_have_its_tempo():
    rows = clock.clock_features(np.zeros((2, 3)), np.array([60.0, 120.0]))
    np.testing.assert_allclose(rows[:, :, -1], [[-1] * 3, [0] * 3])


def test_a_set_row_is_never_mistaken_for_an_unset_one():
    rows = clock.clock_features(np.linspace(0, 4, 97), 120.0)
    assert (np.abs(rows).sum(-1) > 1).all()
    assert clock.unset_clock(2, 3).shape == (2, 3, clock.NUM_FEATURES) and not clock.unset_clock(2, 3).any()


@pytest.mark.parametrize("bpm", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_tempo_is_refused(bpm):
    with pytest.raises(ValueError, match="expected a positive number of beats a minute"):
        clock.clock_features(np.zeros(2), bpm)
