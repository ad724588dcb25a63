"""The limiter: never beyond the ceiling, untouched below it, without distortion, and the same whatever the blocks."""

import itertools
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from magenta_rt_py.live import limiter
from magenta_rt_py.live.limiter import LimiterConfig
from magenta_rt_py.nn.streaming import StreamingLayer
from magenta_rt_py.testing import check_streaming

CONFIG = LimiterConfig()
LATE = CONFIG.look_ahead_samples
LOUDEST = float(np.finfo(np.float32).max)


def limited(sound: np.ndarray, sizes: list[int] | None = None, config: LimiterConfig = CONFIG) -> np.ndarray:
    """What comes out, the delay cut off, when the sound and the silence after it come in blocks of these sizes."""
    padded = np.concatenate([sound, np.zeros((config.look_ahead_samples, sound.shape[1]), sound.dtype)])
    state, pieces, start = limiter.init_state(config, channels=sound.shape[1]), [], 0
    for size in itertools.cycle(sizes or [len(padded)]):
        state, piece = limiter.step(config, state, padded[start : start + size])
        pieces.append(piece)
        start += size
        if start >= len(padded):
            return np.concatenate(pieces)[config.look_ahead_samples :]
    raise AssertionError


def tone(samples: int, level: float, hertz: float = 440.0) -> np.ndarray:
    wave = level * np.sin(2 * np.pi * hertz / 48_000 * np.arange(samples))
    return np.stack([wave, 0.5 * wave], axis=1).astype(np.float32)


def peaky(length: int, seed: int = 0) -> np.ndarray:
    """Soft noise with a few peaks, some of them just above the ceiling."""
    random = np.random.default_rng(seed)
    sound = np.clip(random.normal(0, 0.2, (length, 2)), -0.9, 0.9)
    places = random.integers(0, length, 8)
    sound[places, random.integers(0, 2, 8)] *= random.choice([5.0, 20.0, 1e4], 8)
    return sound.astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(
    sound=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 300), st.integers(1, 2)),
        elements=st.one_of(
            st.floats(-2.0, 2.0, width=32), st.sampled_from([CONFIG.sample_ceiling, 0.9660509, 50.0, LOUDEST, -LOUDEST])
        ),
        fill=st.sampled_from([0.0, 0.5, 0.9660509, 1.0]).map(np.float32),
    ),
    look_ahead=st.sampled_from([1, 2, 7, 72]),
    size=st.integers(1, 300),
)
@example(sound=np.full((40, 2), LOUDEST, np.float32), look_ahead=7, size=11)
def test_no_finite_input_gets_beyond_the_ceiling(sound, look_ahead, size):
    config = LimiterConfig(look_ahead_samples=look_ahead, release_seconds=0.01)
    got = limited(sound, [size], config)
    assert got.shape == sound.shape and got.dtype == np.float32
    assert np.abs(got).max() <= 10.0 ** (-0.3 / 20.0)  # NaN fails, too
    assert (got * sound >= 0.0).all()  # no sign turns


def test_a_peak_alone_comes_to_just_below_the_ceiling():
    sound = np.zeros((500, 2), np.float32)
    sound[200, 1] = -8.0
    got = limited(sound)
    assert got[200, 1] == pytest.approx(-CONFIG.ceiling, abs=1e-5)
    assert not np.delete(got, 200, axis=0).any()


def test_sound_below_the_ceiling_is_only_delayed():
    sound = tone(5000, CONFIG.sample_ceiling)
    assert np.abs(sound).max() == np.float32(CONFIG.sample_ceiling)
    state, got = limiter.step(CONFIG, limiter.init_state(CONFIG), sound)
    np.testing.assert_array_equal(got[LATE:], sound[:-LATE])
    np.testing.assert_array_equal(state.delayed, sound[-LATE:])
    assert not got[:LATE].any()


def test_the_gain_comes_down_before_the_peak_and_back_after_it_for_both_channels():
    sound = np.full((48_000, 2), 0.4, np.float32)
    sound[10_000, 0] = 4.0
    gain = limited(sound) / sound
    np.testing.assert_array_equal(gain[:, 0], gain[:, 1])
    assert (gain[: 10_000 - LATE] == 1.0).all() and (gain[10_000 - LATE : 10_001] < 1.0).all()
    fall = np.diff(gain[10_000 - LATE - 1 : 10_001, 0])
    assert fall.max() < 0.0 and fall.min() > -1.0 / LATE  # a ramp, no step
    rise = gain[10_001 + LATE :, 0]
    after = round(CONFIG.release_seconds * 48_000)
    assert (1 - rise[after]) / (1 - rise[0]) == pytest.approx(np.exp(-1), rel=1e-3)
    # And it ends: after the release the sound is the same again, to the last bit.
    loud_once = np.concatenate([sound, np.full((6 * 48_000, 2), 0.4, np.float32)])
    assert (limited(loud_once)[-1000:] == np.float32(0.4)).all()


@pytest.mark.parametrize("sizes", [[2], [71], [72, 73, 1], [512], [1, 700, 256, 3]])
def test_pieces_equal_the_whole_to_the_last_bit(sizes):
    sound = peaky(2400)
    sound[100:] *= 1e-4  # loud, then soft for longer than the release takes, then loud again
    sound[2100] = 1.5
    config = LimiterConfig(release_seconds=0.01)
    np.testing.assert_array_equal(limited(sound, sizes, config), limited(sound, None, config))


def test_idle_and_busy_agree_to_the_last_bit():
    config = LimiterConfig(release_seconds=0.01)
    quiet, peak = peaky(20_000) * np.float32(1e-5), np.full((1, 2), 3.0, np.float32)
    sound = np.concatenate([quiet[:700], peak, quiet, peak, quiet[:300], peak])
    state, idle = limiter.init_state(config), []
    for start in range(0, len(sound), 500):
        state, _ = limiter.step(config, state, sound[start : start + 500])
        idle.append(state.is_idle)
    # Idle at first, busy after the peak until its release has ended, idle, and busy again.
    assert [kind for kind, _ in itertools.groupby(idle)] == [True, False, True, False]
    assert state.release.place == len(sound) % 256  # cells keep their places in the stream
    # One block that has all peaks in it goes the long way throughout.
    np.testing.assert_array_equal(limited(sound, [500], config), limited(sound, None, config))


def test_streamed_equals_whole():
    config = LimiterConfig(look_ahead_samples=20, release_seconds=0.01)

    def step(state: Any, inputs: np.ndarray) -> tuple[Any, np.ndarray]:
        state = jax.tree.map(lambda leaf: leaf.item() if np.ndim(leaf) == 0 and hasattr(leaf, "item") else leaf, state)
        state, samples = limiter.step(config, state, inputs[0])
        return state, samples[None]

    layer = StreamingLayer(
        whole=lambda inputs: step(limiter.init_state(config), inputs)[1],
        init_state=lambda batch: limiter.init_state(config),
        step=step,
    )
    inputs = peaky(400, seed=1)[None]
    check_streaming(layer, inputs, others=inputs[:, ::-1] + np.float32(0.01), tolerance=0.0)


@pytest.mark.parametrize("level", [1.0, 2.0, 8.0])
def test_loud_music_is_turned_down_and_not_distorted(level):
    got = limited(tone(96_000, level))
    spectrum = np.abs(np.fft.rfft(got[48_000:, 0] * np.hanning(48_000)))
    harmonics = np.sqrt(sum(spectrum[440 * k] ** 2 for k in range(2, 20))) / spectrum[440]
    assert harmonics < 0.005
    assert np.abs(got[48_000:]).max() > 0.96  # as loud as may be


def test_no_float32_sample_is_above_any_ceiling():
    for ceiling in np.linspace(0.05, 1.0, 50):
        assert ceiling * (1 - 1e-6) < LimiterConfig(ceiling=float(ceiling)).sample_ceiling <= ceiling


@pytest.mark.parametrize("field", [{"ceiling": 1.1}, {"look_ahead_samples": 0}, {"release_seconds": 0.0}])
def test_refuses_constants_out_of_range(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        LimiterConfig(**field)
