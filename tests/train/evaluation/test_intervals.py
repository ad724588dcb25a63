"""Intervals against values of the literature."""

import numpy as np
import pytest

from magenta_rt_py.train.evaluation import intervals
from magenta_rt_py.train.evaluation.intervals import Share, share_of


def test_wilson_known_values():
    low, high = Share(hits=5, trials=10).wilson
    assert (low, high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    # Newcombe 1998, table I: 81 of 263.
    assert Share(hits=81, trials=263).wilson == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert Share(hits=0, trials=20).wilson == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_clopper_pearson_known_values():
    # Newcombe 1998, table I, method 5.
    assert Share(hits=81, trials=263).clopper_pearson == pytest.approx((0.2527, 0.3676), abs=1e-4)
    assert Share(hits=0, trials=20).clopper_pearson == pytest.approx((0.0, 0.1684), abs=1e-4)
    assert Share(hits=20, trials=20).clopper_pearson[1] == 1.0


def test_share_of_counts_every_outcome():
    share = share_of([True, False, False, True, True])
    assert (share.hits, share.trials) == (3, 5)
    assert share.to_text().startswith("3/5 = 0.60 (")


def test_nothing_counted_is_refused():
    with pytest.raises(ValueError, match="at least one trial"):
        share_of([])


def test_mean_has_students_interval():
    found = intervals.mean_of([1.0, 2.0, 3.0, 4.0])
    # t(0.975, 3) = 3.1824; standard error sqrt(5/3)/2
    assert found.value == 2.5
    assert found.high - found.value == pytest.approx(3.1824 * (5 / 3) ** 0.5 / 2, rel=1e-4)
    assert intervals.mean_of([7.0]).low == 7.0
    with pytest.raises(ValueError, match="at least one"):
        intervals.mean_of([])


def test_ratio_is_seeded_and_covers_the_truth():
    random = np.random.default_rng(1)
    above, below = random.normal(3.0, 0.5, 40).tolist(), random.normal(2.0, 0.3, 40).tolist()
    found = intervals.ratio_of(above, below)
    assert found == intervals.ratio_of(above, below)
    assert found.low < 1.5 < found.high and found.high - found.low < 0.3
    with pytest.raises(ValueError, match="above 0"):
        intervals.ratio_of([1.0], [0.0])


def test_jackknife_of_a_mean_is_its_standard_error():
    values = np.array([1.0, 4.0, 2.0, 6.0, 3.0])
    without = [float(np.delete(values, index).mean()) for index in range(5)]
    found = intervals.jackknife_of(float(values.mean()), without)
    assert found.high - found.value == pytest.approx(1.96 * values.std(ddof=1) / 5**0.5, rel=1e-3)


def test_stratified_jackknife_counts_what_happens_within_strata_only():
    strata = [np.array([1.0, 4.0, 2.0]), np.array([16.0, 13.0, 11.0, 14.0])]
    values = np.concatenate(strata)
    without = [float(np.delete(values, index).mean()) for index in range(7)]
    found = intervals.stratified_jackknife_of(float(values.mean()), [without[:3], without[3:]])
    expected = sum((len(one) / 7) ** 2 * one.var(ddof=1) / len(one) for one in strata) ** 0.5
    assert found.count == 7 and found.value - found.low == pytest.approx(1.96 * expected, rel=1e-3)
    one = intervals.stratified_jackknife_of(float(values.mean()), [without])
    assert one.high == pytest.approx(intervals.jackknife_of(float(values.mean()), without).high)
