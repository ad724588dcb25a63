"""The timeline: newest wins, the past stands, nothing is lost or repeated."""

import numpy as np
import pytest

from magenta_rt_py.live.merge import Amend, CrossFade, Segment
from magenta_rt_py.live.timeline import Timeline


def segment(request, start, length, sequence=0):
    return Segment(request, start, tuple((request, start + place) for place in range(length)), sequence)


def test_backup_plays_until_the_new_one_is_there():
    timeline = Timeline(history_units=10)
    assert timeline.put(segment(0, 0, 5)) == 5
    assert [timeline.play().payload for _ in range(3)] == [(0, 0), (0, 1), (0, 2)]
    assert timeline.put(segment(1, 2, 5, sequence=7)) == 4  # its first unit came too late
    slot = timeline.play()
    assert slot == ((1, 3), 1, 1, 7)
    assert [timeline.play().request for _ in range(3)] == [1, 1, 1]
    assert timeline.play() is None
    assert timeline.played(0, 4) == ((0, 0), (0, 1), (0, 2), (1, 3))
    assert timeline.played(-2, 1) == (None, None, (0, 0))
    assert timeline.played(7, 8) == (None,)


def test_too_late_is_nothing():
    timeline = Timeline()
    timeline.play()
    timeline.play()
    assert timeline.put(segment(0, 0, 2)) == 0
    assert timeline.at(2) is None


def test_random_traffic():
    """At every unit: what is played comes from the newest request that had arrived and covers it, unless frozen before."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        timeline = Timeline(history_units=400)
        arrived, heard, frozen = [], [], {}
        numbers = list(rng.permutation(60))
        for unit in range(80):
            while numbers and rng.random() < 0.5:
                number = int(numbers.pop())
                one = segment(number, unit + int(rng.integers(-3, 6)), int(rng.integers(1, 12)))
                timeline.put(one)
                arrived.append(one)
            if rng.random() < 0.3:
                timeline.freeze(unit + int(rng.integers(0, 5)))
            for ahead in range(unit, timeline.frozen_until):
                frozen.setdefault(ahead, timeline.at(ahead))
            slot = timeline.play()
            covering = [one.request for one in arrived if one.start <= unit < one.end]
            if unit in frozen:
                assert slot == frozen[unit]
            else:
                assert (slot.request if slot else None) == (max(covering) if covering else None)
            if slot:
                assert slot.payload == (slot.request, unit)
                assert slot.index == unit - next(one.start for one in arrived if one.request == slot.request)
            heard.append(slot.payload if slot else None)
        assert timeline.playhead == 80
        assert timeline.played(0, 80) == tuple(heard)
        assert sum(slot is not None for slot in heard) > 25


def test_clear_leaves_what_is_frozen():
    timeline = Timeline()
    timeline.put(segment(0, 0, 10))
    timeline.freeze(3)
    timeline.clear(0)
    assert [timeline.at(unit) is None for unit in range(5)] == [False, False, False, True, True]
    timeline.put(segment(1, 0, 10))
    timeline.clear(6)
    assert timeline.at(5).request == 1
    assert timeline.at(6) is None


def test_crossfade_keeps_the_old_underneath():
    timeline = Timeline(CrossFade(2, "linear"))
    ramp = [np.full((4, 1), 1.0)] * 8
    timeline.put(Segment(0, 0, tuple(ramp)))
    for _ in range(3):
        timeline.play()
    timeline.put(Segment(1, 1, tuple(np.full((4, 1), 3.0) for _ in range(8))))
    mixed = np.concatenate([timeline.play().payload[:, 0] for _ in range(4)])
    np.testing.assert_allclose(mixed[:8], 1.0 + 2.0 * (np.arange(8) + 0.5) / 8)
    np.testing.assert_allclose(mixed[8:], 3.0)


def test_amend_replaces_only_what_has_not_sounded():
    timeline = Timeline(Amend())
    timeline.put(segment(0, 1, 3))
    timeline.put(segment(1, 1, 6))
    assert timeline.at(1).request == 1
    timeline.play()
    timeline.play()
    assert timeline.put(segment(2, 2, 4)) == 0  # request 1 sounds until unit 6
    assert timeline.put(segment(3, 2, 8)) == 3
    assert [timeline.at(unit).request for unit in (2, 6, 7)] == [1, 1, 3]


def test_memory_is_bounded():
    timeline = Timeline(history_units=5)
    for unit in range(100):
        timeline.put(segment(unit, unit, 3))
        timeline.play()
    assert len(timeline._placed) <= 3
    assert timeline.played(95, 100)
    with pytest.raises(ValueError, match="94 is forgotten, 95 is the oldest"):
        timeline.played(94, 100)


def test_refuses():
    timeline = Timeline()
    timeline.put(segment(0, 0, 2))
    with pytest.raises(ValueError, match="placed before"):
        timeline.put(segment(0, 1, 2))
    with pytest.raises(ValueError, match="None for a unit"):
        timeline.put(Segment(1, 0, (None,)))
    with pytest.raises(ValueError, match="has not been played"):
        timeline.played(0, 1)
