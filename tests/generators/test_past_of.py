"""The last ten seconds of a sound become frames that the model goes on from."""

import math

import numpy as np
import pytest

from magenta_rt_py import audio
from magenta_rt_py.generators.live_lm import LiveLM
from magenta_rt_py.generators.past_of import past_of
from magenta_rt_py.live import transport
from magenta_rt_py.live.frame import Conditioning, frames_from_json, frames_to_json
from magenta_rt_py.live.generator import Request

SECOND = 48_000
FRAME = 1920


def noise(samples, seed=0, channels=2):
    return np.random.default_rng(seed).normal(0, 0.2, (samples, channels)).astype(np.float32)


def codes_of(past):
    return np.stack([frame.codes for frame in past if frame is not None])


def test_the_end_of_a_sound_is_what_the_codec_hears(models):
    sound = noise(14 * SECOND + 777)
    past = past_of(models, audio.Audio(sound, SECOND))
    assert len(past) == 250 and all(math.isnan(frame.beat) and math.isnan(frame.bpm) for frame in past)
    whole = models.codec.encode(sound[None, 777:])[0, -250:, : models.lm_config.num_levels]
    assert codes_of(past).dtype == np.int32 and np.array_equal(codes_of(past), whole)


@pytest.mark.parametrize("samples", [FRAME, 3 * SECOND, 10 * SECOND, 10 * SECOND + 3 * FRAME])
def test_before_a_shorter_sound_there_is_nothing(models, samples):
    sound = noise(samples)
    past = past_of(models, audio.Audio(sound, SECOND))
    known = min(250, samples // FRAME)
    assert len(past) == 250 and past[: 250 - known] == (None,) * (250 - known)
    whole = models.codec.encode(sound[None])[0, -known:, : models.lm_config.num_levels]
    # Other compiled lengths round otherwise: now and then two code vectors are equally near.
    assert np.sum(codes_of(past) != whole) <= max(1, 0.01 * whole.size)


def test_any_rate_and_channels(models):
    seconds = np.arange(12 * 44_100) / 44_100
    mono = (0.3 * np.sin(2 * np.pi * 440 * seconds))[:, None].astype(np.float32)
    past = past_of(models, audio.Audio(mono, 44_100))
    same = 0.3 * np.sin(2 * np.pi * 440 * np.arange(12 * SECOND) / SECOND)
    other = past_of(models, audio.Audio(np.stack([same, same], 1).astype(np.float32), SECOND))
    assert all(frame is not None for frame in past)
    assert np.mean(codes_of(past)[20:-2, 0] == codes_of(other)[20:-2, 0]) > 0.9


def test_the_model_goes_on_from_it_with_an_unset_clock(models):
    lm = LiveLM(models, lengths=(10,))
    past = past_of(models, audio.Audio(noise(11 * SECOND), SECOND))
    codes, clock = lm._context(past)
    assert np.array_equal(codes[:, : models.lm_config.num_levels], codes_of(past)) and not clock.any()
    controls = Conditioning(1.0, 40, 1.0, 0.0, None, transport.start(120.0))
    frames = lm.generate(Request(0, 0, 0, 10, past, controls, seed=1))
    assert len(frames) == 10 and all(math.isfinite(frame.beat) for frame in frames)
    _, clock = lm._context((*past[10:], *frames))
    assert not clock[:240].any() and clock[240:].any(axis=1).all()
    back = frames_from_json(frames_to_json(past))
    assert np.array_equal(codes_of(back), codes_of(past)) and all(math.isnan(frame.beat) for frame in back)


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (np.zeros((FRAME - 1, 2), np.float32), "give at least 0.04 s"),
        (np.zeros((0, 2), np.float32), "give at least 0.04 s"),
        (np.full((SECOND, 2), np.nan, np.float32), "NaN"),
        (np.full((SECOND, 1), np.inf, np.float32), "infinite"),
    ],
)
def test_what_cannot_be_gone_on_from(models, sound, said):
    with pytest.raises(ValueError, match=said):
        past_of(models, audio.Audio(sound, SECOND))
