"""Loops: lengths in samples, the fewest that bridge a delay, changes on the bar."""

import numpy as np
import pytest

from magenta_rt_py.live import loops


def test_length_is_rounded_once():
    assert loops.Loop(beats=8, bpm=120.0).offset_samples == 192_000
    assert loops.Loop(beats=1, bpm=130.0, repeats=7).offset_samples == 155_077  # seven times a rounded one: 155078
    assert loops.FREE.offset_samples == 0


def test_the_fewest_repeats_that_bridge_the_delay():
    beat = loops.Loop(beats=1, bpm=120.0)
    assert beat.repeats_for(24_000).repeats == 1
    assert beat.repeats_for(24_001).repeats == 2
    assert beat.repeats_for(0) == beat
    assert loops.FREE.repeats_for(10**9) == loops.FREE
    with pytest.raises(ValueError, match="use more beats"):
        beat.repeats_for(10**9)


@pytest.mark.parametrize("sizes", [[4800], [1], [7, 1000, 64]])
def test_a_change_waits_for_the_bar_in_any_blocks(sizes):
    beats = np.arange(0, 8, 0.01)
    state = loops.request(loops.init_state(loops.Loop(beats=4)), loops.Loop(beats=8), beat=1.0)
    got, start, turn = [], 0, 0
    while start < len(beats):
        size = sizes[turn % len(sizes)]
        state, offsets = loops.step(state, beats[start : start + size])
        got.append(offsets)
        start, turn = start + size, turn + 1
    whole = np.concatenate(got)
    np.testing.assert_array_equal(whole, np.where(np.arange(len(beats)) < 400, 96_000, 192_000))
    assert state == loops.init_state(loops.Loop(beats=8))


def test_asked_on_the_bar_it_changes_at_once_and_the_last_word_counts():
    state = loops.request(loops.init_state(), loops.Loop(beats=4), beat=4.0)
    state = loops.request(state, loops.Loop(beats=16), beat=4.0)
    state, offsets = loops.step(state, np.array([4.0, 4.001]))
    assert offsets.tolist() == [384_000, 384_000]
    odd = loops.request(loops.init_state(), loops.Loop(), beat=4.0001, beats_per_bar=3)
    assert odd.change_beat == 6.0


@pytest.mark.parametrize("field", [{"beats": -1}, {"beats": 65}, {"repeats": 0}, {"bpm": 10.0}, {"bpm": float("nan")}])
def test_refuses_loops_nobody_can_play(field):
    with pytest.raises(ValueError, match="give"):
        loops.Loop(**field)
