"""A gain gets where it is told by equal steps, the same in any pieces."""

import math

import numpy as np
import pytest

from magenta_rt_py.live import ramp


def test_moves_by_equal_steps_and_stops_at_the_target():
    after, gains = ramp.step(0.0, 0.5, 1000)
    assert np.diff(gains, prepend=0.0).max() <= 1 / ramp.FULL_SWING_SAMPLES
    assert gains[511] == 0.5 and gains[510] < 0.5 and after == 0.5
    after, gains = ramp.step(1.0, 0.0, 2000)
    assert after == 0.0 and gains[-1] == 0.0 and (np.diff(gains) <= 0).all()


def test_pieces_equal_the_whole_to_the_last_bit():
    for gain, target in [(0.3, 0.95), (0.95, 0.1), (0.7, 0.7)]:
        _, whole = ramp.step(gain, target, 1500)
        pieces, now = [], gain
        for size in [1, 0, 333, 64, 1102]:
            now, piece = ramp.step(now, target, size)
            pieces.append(piece)
        np.testing.assert_array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("target", [-0.1, math.nan, math.inf])
def test_refuses_what_is_no_gain(target):
    with pytest.raises(ValueError, match="gain"):
        ramp.step(1.0, target, 10)
