"""An input that is opened apart finds its place in the output and keeps it."""

import numpy as np

from magenta_rt_py.io.following import Follower

BLOCK = 512


def follow(seconds: float, *, input_hz: int = 48_000, drift: float = 0.0, jitter_seconds: float = 0.003) -> np.ndarray:
    """Errors in samples of what a follower says of a true position, and the places between blocks that do not join."""
    follower = Follower(input_hz=input_hz, output_hz=48_000)
    rng = np.random.default_rng(0)
    errors, joins, last = [], [], None
    for number in range(int(seconds * input_hz / BLOCK)):
        true = 10_000 + number * BLOCK * 48_000 / input_hz * (1.0 + drift)
        placed = follower.step(BLOCK, true + rng.uniform(-1, 1) * jitter_seconds * 48_000)
        if placed:
            errors.append(placed[0] - true)
            joins.append(0 if last is None else placed[0] - last)
            last = placed[1]
    return np.array(errors), np.array(joins)


def test_jitter_is_averaged_out():
    for input_hz in (48_000, 44_100):
        errors, joins = follow(60.0, input_hz=input_hz)
        assert len(errors) > 59 * input_hz / BLOCK
        assert np.abs(errors).max() < 48  # 1 ms
        assert not joins.any()


def test_drifting_clocks_are_caught_up_with():
    for drift in (1e-3, -1e-3):
        errors, joins = follow(60.0, drift=drift)
        assert np.abs(errors).max() < 0.02 * 48_000
        assert 3 <= np.count_nonzero(joins) <= 20


def test_it_begins_anew_when_the_output_had_nothing():
    follower = Follower(input_hz=48_000, output_hz=48_000)
    assert any(follower.step(BLOCK, 1000.0 + number * BLOCK) for number in range(60))
    assert follower.step(BLOCK, None) is None
    placed = [follower.step(BLOCK, 5000.0 + number * BLOCK) for number in range(60)]
    assert not any(placed[:40]) and placed[-1] == (5000 + 59 * BLOCK, 5000 + 60 * BLOCK)
