"""The distance against its closed form, and what must be 0."""

import numpy as np
import pytest

from magenta_rt_py.train.evaluation import frechet


def test_of_one_dimension_is_the_closed_form():
    """(m1 - m2)^2 + (s1 - s2)^2."""
    found = frechet.distance_of_gaussians(np.array([1.0]), np.array([[4.0]]), np.array([3.5]), np.array([[9.0]]))
    assert found == pytest.approx(2.5**2 + (2.0 - 3.0) ** 2)


def test_of_covariances_with_common_axes_is_the_sum_over_the_axes():
    random = np.random.default_rng(0)
    turn, _ = np.linalg.qr(random.standard_normal((5, 5)))
    one, other = random.uniform(0.1, 4.0, 5), random.uniform(0.1, 4.0, 5)
    found = frechet.distance_of_gaussians(np.zeros(5), turn * one @ turn.T, np.zeros(5), turn * other @ turn.T)
    assert found == pytest.approx(((np.sqrt(one) - np.sqrt(other)) ** 2).sum())


def test_of_covariances_without_common_axes_is_the_trace_of_a_true_root():
    import scipy.linalg

    random = np.random.default_rng(1)
    one, other = (each @ each.T for each in random.standard_normal((2, 6, 6)))
    shift = random.standard_normal(6)
    root = scipy.linalg.sqrtm(one @ other).real
    wanted = (shift**2).sum() + np.trace(one + other - 2.0 * root)
    assert frechet.distance_of_gaussians(np.zeros(6), one, shift, other) == pytest.approx(wanted)
    assert frechet.distance_of_gaussians(shift, other, np.zeros(6), one) == pytest.approx(wanted)


def test_equal_sets_are_0_apart_also_without_full_rank():
    rows = np.random.default_rng(2).standard_normal((5, 20))
    assert frechet.frechet_distance(rows, rows) == pytest.approx(0.0, abs=1e-5)
    assert frechet.frechet_distance(rows, rows + 1.0) == pytest.approx(20.0, abs=1e-5)
    with pytest.raises(ValueError, match="at least 2"):
        frechet.frechet_distance(rows[:1], rows)


def test_the_interval_comes_from_groups_and_covers_the_truth():
    random = np.random.default_rng(3)
    groups = [name for name in "abcdefgh" for _ in range(40)]
    rows, others = random.standard_normal((320, 2)), random.standard_normal((320, 2)) + [1.0, 0.0]
    found = frechet.grouped_distance(rows, groups, others, groups)
    assert found.low < 1.0 < found.high
    assert 0.0 < found.high - found.low < 1.0


def test_divergence_is_0_of_equal_labels_and_asymmetric():
    one, other = np.array([0.5, 0.5, 0.0]), np.array([0.9, 0.05, 0.05])
    assert frechet.divergence(one, one) == pytest.approx(0.0, abs=1e-9)
    assert frechet.divergence(one, other) == pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(10.0), abs=1e-3)
    assert frechet.divergence(other, one) > 0.5, "a label that the other never gives costs much"
    assert np.isfinite(frechet.divergence(one, np.array([1.0, 0.0, 0.0])))
