"""How many performances a device is quick enough for."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenta_rt_py.serve.capacity import Capacity
from magenta_rt_py.serve.playing import About


def capacity(hop=0.8, **costs):
    return Capacity(hop_seconds=hop, costs_seconds={int(name[1:]): cost for name, cost in costs.items()})


@given(cost=st.floats(0.01, 2.0), share=st.floats(0.1, 1.0))
def test_without_batches_it_is_the_rtf_of_one(cost, share):
    found = capacity(_1=cost)
    assert found.rtf(1) == pytest.approx(0.8 / cost) and found.rtf(7) == pytest.approx(found.rtf(1))
    assert found.streams(share) in {max(1, math.floor(share * 0.8 / cost)), max(1, math.floor(share * 0.8 / cost + 1e-6))}


def test_batches_that_gain_nothing_change_nothing():
    alone, batched = capacity(_1=0.1), capacity(_1=0.1, _2=0.2, _4=0.4, _8=0.8)
    assert alone.streams(0.85) == batched.streams(0.85) == 6
    assert batched.rtf(4) == pytest.approx(alone.rtf(4))


def test_batches_that_gain_let_more_in():
    found = capacity(_1=0.1, _2=0.1, _4=0.12, _8=0.15, _16=0.25)
    assert found.work_seconds(16) == pytest.approx(0.3)  # twice eight
    assert found.rtf(16) == pytest.approx(16 * 0.8 / 0.3)
    assert found.streams(0.4) == 16  # 0.3 of 0.32 s; 17 need 0.4: nine and eight
    assert found.streams() > 32


def test_one_gets_in_however_slow_the_machine():
    assert capacity(_1=5.0).streams() == 1


def test_an_endless_machine_is_counted_no_further():
    assert capacity(_1=1e-9).streams() == 256


@pytest.mark.parametrize("costs", [{"_2": 0.1}, {"_1": 0.0}, {"_1": 0.1, "_2": math.nan}])
def test_nonsense_is_refused(costs):
    with pytest.raises(ValueError, match="give those of size 1"):
        capacity(**costs)


def test_a_hall_goes_by_what_was_measured():
    told = About(bundle="x", knobs={}, rtf=3.9)
    assert (told.most(0.85), told.most(0.1)) == (3, 1)
    measured = About(bundle="x", knobs={}, rtf=3.9, capacity=capacity(_1=0.1, _2=0.1))
    assert measured.most(0.85) == measured.capacity.streams(0.85) == 12
