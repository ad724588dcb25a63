"""Blocks are filled from the ring exactly, gaps are faded, and channels get what they should."""

import numpy as np
import pytest

from magenta_rt_py.io.playback import FADE_SAMPLES, Playback
from magenta_rt_py.io.ring import Ring

MOST_STEP = 1.0 / FADE_SAMPLES + 1e-6


def make(lanes: int = 2, main: tuple[int, ...] = (0, 1), cue: tuple[int, ...] = ()) -> tuple[Ring, Playback]:
    ring = Ring(np.zeros(16, np.int64), np.zeros((8192, lanes), np.float32))
    return ring, Playback(ring, lanes=lanes, main_channels=main, cue_channels=cue)


def block(samples: int, channels: int) -> np.ndarray:
    return np.full((samples, channels), 9.0, np.float32)


def test_what_is_there_is_played_exactly():
    ring, playback = make()
    out = block(100, 2)
    assert playback.fill(out) == 0 and not out.any() and playback.underflows == 0  # nothing has begun
    sound = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    ring.write(sound)
    for start in (0, 100, 200):
        assert playback.position == start
        assert playback.fill(out) == 100
        np.testing.assert_array_equal(out, sound[start : start + 100])
    assert playback.underflows == 0


@pytest.mark.parametrize("samples", [64, 480, 700])
@pytest.mark.parametrize("there", [0, 50])
def test_a_gap_has_no_step(samples, there):
    ring, playback = make()
    whole, out = [], block(samples, 2)
    for written in (samples, there, 0, 0, 0, 0, 0, 0, 0, samples):
        ring.write(np.ones((written, 2), np.float32))
        playback.fill(out)
        whole.append(out.copy())
    played = np.concatenate(whole)
    first = samples + there
    assert (played[:first] == 1.0).all()
    assert np.abs(np.diff(played[:, 0])).max() <= MOST_STEP
    assert not played[first + FADE_SAMPLES : 9 * samples].any()  # silence after the fall
    assert played[-1, 0] > min(samples, FADE_SAMPLES) / FADE_SAMPLES - 0.01  # and the rise
    assert playback.underflows == 8
    assert playback.position == 2 * samples + there


def test_after_a_gap_it_waits_for_a_whole_block_but_not_for_ever():
    ring, playback = make()
    out = block(100, 2)
    ring.write(np.ones((100, 2), np.float32))
    assert [playback.fill(out), playback.fill(out)] == [100, 0]
    counts = []
    for written in (30, 30, 30, 30, 70, 40, 0):
        ring.write(np.ones((written, 2), np.float32))
        counts.append(playback.fill(out))
    assert counts == [0, 0, 0, 100, 90, 0, 40]


def test_channels():
    lanes = np.array([[0.5, -0.25, 0.125]], np.float32)
    for main, cue, expected in (
        ((2, 0), (3, 4), [-0.25, 0, 0.5, 0.125, 0.125]),
        ((1,), (), [0, 0.125, 0, 0, 0]),  # (left + right) / 2
        ((4,), (0,), [0.125, 0, 0, 0, 0.125]),
    ):
        ring, playback = make(3, main, cue)
        ring.write(lanes)
        out = block(1, 5)
        playback.fill(out)
        assert out.tolist() == [expected]


def test_the_end_is_a_fade():
    ring, playback = make()
    ring.write(np.ones((2000, 2), np.float32))
    out = block(500, 2)
    playback.fill(out)
    playback.end()
    assert playback.fill(out) == 0
    assert np.abs(np.diff(np.append(1.0, out[:, 0]))).max() <= MOST_STEP and out[-1, 0] == 0.0
    assert playback.underflows == 0
