"""Frames and conditionings go through a file and come back the same to the last bit."""

import json
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.live.frame import Conditioning, Frame, frames_from_json, frames_to_json
from magenta_rt_py.live.transport import TempoPoint, Transport

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
POSITIONS = NUMBERS | st.just(math.nan)
"""Of sound from elsewhere, the beat is unknown."""
FRAMES = st.none() | st.builds(
    lambda codes, beat, bpm: Frame(np.array(codes, np.int32), beat, bpm),
    st.lists(st.integers(-1, 1023), min_size=1, max_size=16),
    POSITIONS,
    POSITIONS,
)


def through_a_file(data):
    return json.loads(json.dumps(data, allow_nan=False).encode())


def bits(value):
    return np.float64(value).tobytes()


@settings(max_examples=100, deadline=None)
@given(st.lists(FRAMES, max_size=6))
def test_frames(frames):
    back = frames_from_json(through_a_file(frames_to_json(tuple(frames))))
    assert len(back) == len(frames)
    for was, now in zip(frames, back):
        assert (was is None) == (now is None)
        if was is not None:
            assert now.codes.dtype == np.int32
            np.testing.assert_array_equal(now.codes, was.codes)
            assert (bits(now.beat), bits(now.bpm)) == (bits(was.beat), bits(was.bpm))


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    st.integers(0, 1024),
    st.none() | st.lists(st.integers(0, 1023), max_size=6).map(tuple),
    st.lists(st.tuples(NUMBERS, NUMBERS, st.floats(20.0, 400.0)), min_size=1, max_size=4),
    st.booleans(),
    st.none() | st.floats(0.0, 2.0),
)
def test_conditioning(weights, top_k, style, points, has_clock, strength):
    transport = Transport(points=tuple(TempoPoint(*point) for point in points))
    was = Conditioning(weights[0], top_k, weights[1], weights[2], style, transport, has_clock, strength)
    now = Conditioning.from_json(through_a_file(was.to_json()))
    assert now == was and type(now.style) is type(was.style)
    assert [bits(value) for value in (now.temperature, now.guidance_weight, now.input_guidance_weight)] == [
        bits(value) for value in weights
    ]
    assert [bits(value) for point in now.transport.points for value in point] == [bits(v) for point in points for v in point]


def test_a_log_without_the_clocks_switch_is_of_a_time_when_it_was_always_on():
    written = Conditioning(1.0, 0, 0.0, 0.0, None, Transport(), False).to_json()
    assert Conditioning.from_json(through_a_file(written)).has_clock is False
    del written["has_clock"]
    assert Conditioning.from_json(through_a_file(written)).has_clock is True


def test_a_log_without_the_adapters_strength_was_made_with_the_bundles_own():
    written = Conditioning(1.0, 0, 0.0, 0.0, None, Transport(), adapter_strength=0.25).to_json()
    assert Conditioning.from_json(through_a_file(written)).adapter_strength == 0.25
    del written["adapter_strength"]
    assert Conditioning.from_json(through_a_file(written)).adapter_strength is None
