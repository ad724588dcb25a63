"""Whoever sets the tempo: the beat lies where it was asked for, and what is past stays as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.live.conductor import Conductor
from magenta_rt_py.live.transport import TempoSource

FRAME_SAMPLES = 1920


def from_beat(beat):
    """Distance from the nearest beat."""
    return abs(beat - round(beat))


@settings(max_examples=60, deadline=None)
@given(
    st.floats(60.0, 180.0),
    st.floats(50.0, 250.0),
    st.floats(0.0, 400.0),
    st.integers(2, 8),
    st.integers(0, 60),
    st.floats(0.0, 7.0),
)
def test_tapping_puts_the_beat_under_the_taps(before, tapped, first_frame, taps, ahead, nudged):
    conductor = Conductor(before)
    conductor.nudge(nudged, 0)
    period = 1500.0 / tapped  # frames
    bpm, frame = None, 0
    for number in range(taps):
        at = first_frame + number * period
        frame = int(at) + ahead
        near = conductor.transport.beat_at(at)
        bpm = conductor.tap(round(at * FRAME_SAMPLES), frame)
        assert (bpm is None) == (number == 0)
        if number:
            # The beat that was nearest stays the nearest: nobody's beat jumps further than half a beat.
            assert abs(conductor.transport.beat_at(frame) - (frame - at) * tapped / 1500.0 - near) <= 0.501
    assert bpm == pytest.approx(tapped, rel=1e-3)
    assert conductor.transport.source is TempoSource.TAPPED
    for later in range(taps, taps + 8):
        at = first_frame + later * period
        if at >= frame:
            assert from_beat(conductor.transport.beat_at(at)) < 0.02
            assert conductor.transport.bpm_at(at) == bpm


def test_a_single_tap_and_taps_out_of_order_change_nothing():
    conductor = Conductor(120.0)
    before = conductor.transport
    assert conductor.tap(48_000, 60) is None
    assert conductor.tap(47_000, 61) is None  # of another thread, a little late
    assert conductor.transport == before


def test_nudge():
    conductor = Conductor(125.0)
    conductor.nudge(-0.5, 24)
    assert conductor.transport.beat_at(23) == pytest.approx(23 / 12)
    assert conductor.transport.beat_at(24) == pytest.approx(1.5)
    assert conductor.transport.beat_at(36) == pytest.approx(2.5)


@pytest.mark.parametrize("beats_per_bar", [3, 4])
@pytest.mark.parametrize("heard_beat", [0.0, 0.9, 1.1, 2.4, 2.6, 3.6, 5.0])
def test_downbeat(beats_per_bar, heard_beat):
    """What was heard nearest to the call begins a bar, from the next frame that can change."""
    conductor = Conductor(125.0, beats_per_bar=beats_per_bar)
    before = conductor.transport
    conductor.downbeat(round(heard_beat * 12 * FRAME_SAMPLES), 80)
    after = conductor.transport
    bars = (round(heard_beat) + np.arange(4) * beats_per_bar) * 12.0  # frames of bar lines, were they at that call
    for frame in bars[bars >= 80]:
        assert after.bar_position(float(frame)).beat == pytest.approx(0.0, abs=1e-6)
    assert 0.0 <= after.beat_at(80) - before.beat_at(80) < beats_per_bar


def test_a_number():
    conductor = Conductor(120.0)
    same = conductor.transport
    conductor.set_bpm(120.0, 50)
    assert conductor.transport is same
    conductor.set_bpm(60.0, 50)
    assert conductor.transport.beat_at(50) == pytest.approx(4.0) and conductor.transport.beat_at(75) == pytest.approx(5.0)
    for wrong in (19.0, 401.0, float("nan")):
        before = conductor.transport
        with pytest.raises(ValueError, match="from 20 to 400"):
            conductor.set_bpm(wrong, 60)
        assert conductor.transport == before
    conductor.set_beats_per_bar(3)
    assert conductor.transport.bar_position(75.1).bar == 1 and conductor.transport.points == before.points


@pytest.mark.parametrize(("bpm", "offset"), [(120.0, 0.0), (123.0, 0.3), (110.0, -0.4), (150.0, 0.0)])
def test_following_is_continuous_and_gets_there(bpm, offset):
    """A small error is leaned out: no jump, at most 8 % of tempo, and then the beat is the master's, with jitter too."""
    rng = np.random.default_rng(0)
    conductor = Conductor(120.0)
    for frame in range(0, 2000, 5):
        was = conductor.transport.beat_at(frame)
        beat = offset + frame * bpm / 1500.0
        conductor.follow(frame, beat=beat + rng.normal(0, 1e-3), bpm=bpm * (1 + rng.normal(0, 1e-4)))
        now = conductor.transport
        assert now.beat_at(frame) == pytest.approx(was, abs=1e-9)
        assert abs(now.bpm_at(frame) / bpm - 1.0) <= 0.081
        if frame > 500:
            assert abs(now.beat_at(frame) - beat) < 0.01
    assert conductor.transport.source is TempoSource.MIDI_CLOCK
    assert len(conductor.transport.points) < 100  # of 400 steps: in step, nothing is corrected


def test_following_jumps_to_another_place_and_minds_no_nonsense():
    conductor = Conductor(120.0)
    conductor.follow(100, beat=32.0, bpm=120.0)
    assert conductor.transport.beat_at(100) == pytest.approx(32.0) and conductor.transport.beat_at(99) == pytest.approx(7.92)
    before = conductor.transport
    for wrong in (5.0, 900.0, float("nan")):
        conductor.follow(200, beat=0.0, bpm=wrong)
    assert conductor.transport == before


ACTS = ("bpm", "tap", "nudge", "downbeat", "follow", "bar")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 60), st.floats(0.0, 1.0)), max_size=25))
def test_past_beats_never_change(acts):
    conductor, frame = Conductor(100.0), 0
    for act, frames, value in acts:
        frame += frames
        past = np.arange(frame)
        before = conductor.transport.beats(past)
        if act == "bpm":
            conductor.set_bpm(20.0 + 380.0 * value, frame)
        elif act == "tap":
            conductor.tap(round(frame * FRAME_SAMPLES * value), frame)
        elif act == "nudge":
            conductor.nudge(8.0 * value - 4.0, frame)
        elif act == "downbeat":
            conductor.downbeat(round(frame * FRAME_SAMPLES * value), frame)
        elif act == "follow":
            conductor.follow(frame, beat=100.0 * value, bpm=500.0 * value)
        else:
            conductor.set_beats_per_bar(1 + round(15 * value))
        np.testing.assert_array_equal(conductor.transport.beats(past), before)
