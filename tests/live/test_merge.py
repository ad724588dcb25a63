"""Taking over: overwrite, crossfade, amend."""

import numpy as np
import pytest

from magenta_rt_py.live.merge import Amend, CrossFade, Overwrite, Placement, Segment, fade_gains

BLOCK = 8


def block(value, length=BLOCK):
    return np.full((length, 2), value, np.float32)


def placed(request, start, payloads, first=None):
    return Placement(Segment(request, start, tuple(payloads)), start if first is None else first)


@pytest.mark.parametrize("rule", [Overwrite(), CrossFade(2), Amend()])
@pytest.mark.parametrize(("frozen", "expected"), [(0, 5), (5, 5), (7, 7), (20, 20)])
def test_nothing_frozen_is_touched(rule, frozen, expected):
    assert rule.first_unit(Segment(1, 5, ("x",) * 4), [], frozen) == expected


def test_overwrite_plays_the_new():
    new = placed(2, 3, "abc")
    assert [Overwrite().combine(new, unit, "old") for unit in (3, 4, 5)] == ["a", "b", "c"]


@pytest.mark.parametrize("units", [1, 3])
def test_linear_crossfade_of_equal_sounds_changes_nothing(units):
    fade = CrossFade(units, "linear")
    new = placed(2, 10, [block(0.5)] * 5)
    for unit in range(10, 15):
        np.testing.assert_allclose(fade.combine(new, unit, block(0.5)), block(0.5), atol=1e-6)


@pytest.mark.parametrize("units", [1, 2, 5])
def test_equal_power_keeps_the_power_and_has_no_step(units):
    fade = CrossFade(units)
    ones, zeros = placed(2, 0, [block(1.0)] * 8), placed(2, 0, [block(0.0)] * 8)
    rising = np.concatenate([fade.combine(ones, unit, block(0.0))[:, 0] for unit in range(8)])
    falling = np.concatenate([fade.combine(zeros, unit, block(1.0))[:, 0] for unit in range(8)])
    np.testing.assert_allclose(rising**2 + falling**2, 1.0, atol=1e-5)
    assert np.all(np.diff(rising) >= 0)
    assert np.max(np.abs(np.diff(rising))) < 2.0 / (units * BLOCK)
    assert rising[0] < 0.2 and np.all(rising[units * BLOCK :] == 1.0)


def test_over_a_gap_it_fades_in_from_silence():
    fade = CrossFade(1, "linear")
    np.testing.assert_allclose(
        fade.combine(placed(2, 0, [block(1.0)]), 0, None)[:, 0], (np.arange(BLOCK) + 0.5) / BLOCK, atol=1e-6
    )


def test_a_late_segment_fades_where_it_is_first_heard():
    late = placed(2, 0, [block(1.0)] * 6, first=4)
    fade = CrossFade(1)
    assert fade.combine(late, 4, block(0.0))[0, 0] < 0.2
    assert np.all(fade.combine(late, 5, block(0.0)) == 1.0)


def test_gains_at_the_ends():
    for shape in ("linear", "equal_power"):
        new, old = fade_gains(np.array([0.0, 1.0]), shape)
        np.testing.assert_allclose(new, [0.0, 1.0], atol=1e-12)
        np.testing.assert_allclose(old, [1.0, 0.0], atol=1e-12)


def test_refuses():
    with pytest.raises(ValueError, match="at least 1"):
        CrossFade(0)
    with pytest.raises(ValueError, match="sine.*linear, equal_power"):
        CrossFade(1, "sine")


def test_amend_waits_until_a_phrase_that_sounds_is_over():
    rule = Amend(is_onset=lambda payload: payload == "note")
    phrase = placed(1, 10, ["rest", "rest", "note", "rest"])
    answer = Segment(2, 10, ("x",) * 8)
    assert rule.first_unit(answer, [phrase], 10) == 10
    assert rule.first_unit(answer, [phrase], 12) == 12  # only rests were heard
    assert rule.first_unit(answer, [phrase], 13) == 14  # the note was heard
    assert rule.first_unit(Segment(2, 14, ("x",)), [phrase], 13) == 14
