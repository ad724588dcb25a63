"""The delay of a change is the time from the hand to the ear, in four parts."""

import math

import numpy as np
import pytest

from magenta_rt_py.live.delay import KEPT, Delay, DelayMeter


def test_a_change_and_its_parts():
    meter = DelayMeter()
    assert math.isnan(meter.median_seconds)
    meter.taken(0, 9.8)
    meter.changed(1, 10.0)
    meter.played(0, 10.1, buffer_seconds=0.1, device_seconds=0.02)
    assert not meter.delays  # not yet made with it
    meter.taken(1, 10.25)
    meter.played(0, 10.5, buffer_seconds=0.1, device_seconds=0.02)
    meter.played(1, 10.75, buffer_seconds=0.1, device_seconds=0.02)
    meter.played(1, 10.8, buffer_seconds=0.1, device_seconds=0.02)
    assert list(meter.delays) == [pytest.approx((0.25, 0.5, 0.1, 0.02))]
    assert meter.delays[0].total == pytest.approx(0.87) and meter.median_seconds == pytest.approx(0.87)


def test_changes_that_one_request_takes_up_together():
    meter = DelayMeter()
    for sequence, seconds in ((1, 0.0), (2, 0.1), (3, 0.3)):
        meter.changed(sequence, seconds)
    meter.taken(2, 0.2)
    meter.taken(3, 0.5)
    meter.played(3, 1.0, buffer_seconds=0.0, device_seconds=0.0)  # the answer to 2 was never heard
    assert [delay.total for delay in meter.delays] == pytest.approx([1.0, 0.9, 0.7])
    assert [delay.hop for delay in meter.delays] == pytest.approx([0.2, 0.1, 0.2])
    assert meter.median_seconds == pytest.approx(0.9)


def test_a_change_that_no_request_took_up_is_left_out():
    meter = DelayMeter()
    meter.changed(1, 5.0)
    meter.played(1, 5.1, buffer_seconds=0.0, device_seconds=0.0)
    meter.changed(2, 6.0)
    meter.taken(2, 5.9)  # it cannot have known
    meter.played(2, 7.0, buffer_seconds=0.0, device_seconds=0.0)
    assert not meter.delays


def test_any_performance():
    """Every change is measured once, from its moment until its sound leaves the device."""
    rng = np.random.default_rng(0)
    meter, sequence, expected, waiting = DelayMeter(), 0, [], []
    for hop in range(200):
        for _ in range(int(rng.integers(0, 4))):
            sequence += 1
            at = hop + float(rng.uniform(0.0, 0.5))
            meter.changed(sequence, at)
            waiting.append(at)
        meter.taken(sequence, hop + 0.6)
        played, buffered = hop + float(rng.uniform(0.7, 0.9)), float(rng.uniform(0.0, 0.2))
        meter.played(sequence, played, buffer_seconds=buffered, device_seconds=0.05)
        expected += [played + buffered + 0.05 - at for at in waiting]
        waiting.clear()
    assert [delay.total for delay in meter.delays] == pytest.approx(expected) and len(expected) > 200


def test_memory_is_bounded():
    meter = DelayMeter()
    for sequence in range(1, 3 * KEPT):
        meter.changed(sequence, float(sequence))
    assert len(meter._changes) == KEPT
    meter.taken(3 * KEPT, 9999.0)
    meter.played(3 * KEPT, 9999.5, buffer_seconds=0.0, device_seconds=0.0)
    assert len(meter.delays) == KEPT and meter.delays[-1] == Delay(9999.0 - (3 * KEPT - 1), 0.5, 0.0, 0.0)
