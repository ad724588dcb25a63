"""Intervals against values of the literature."""

import pytest

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
