"""The output stage: safe, clean, late by its look-ahead alone, and the same whatever the blocks."""

from typing import Any

import jax
import numpy as np
import pytest

from magenta_rt_py.generators import safety
from magenta_rt_py.live import concealment, limiter, output
from magenta_rt_py.live.output import OutputConfig
from magenta_rt_py.nn.streaming import StreamingLayer
from magenta_rt_py.testing import check_streaming

CONFIG = OutputConfig()
CEILING = 10.0 ** (-0.3 / 20.0)
LATE = CONFIG.delay_samples


def tone(samples: int, level: float, hertz: float = 440.0) -> np.ndarray:
    wave = level * np.sin(2 * np.pi * hertz / 48_000 * np.arange(samples))
    return np.stack([wave, wave], axis=1).astype(np.float32)


def played(sound: np.ndarray, *, config: OutputConfig = CONFIG, volume: float = 1.0) -> np.ndarray:
    """What goes out, the delay cut off."""
    padded = np.concatenate([sound, np.zeros((config.delay_samples, 2), np.float32)])
    state = output.init_state(config)
    return output.step(config, state, padded, np.ones(len(padded), bool), volume=volume)[1][config.delay_samples :]


def test_streamed_equals_whole_to_the_last_bit():
    config = OutputConfig(
        limiter=limiter.LimiterConfig(look_ahead_samples=20),
        fades=concealment.ConcealmentConfig(memory_samples=20, fade_out_samples=70, fade_in_samples=30),
    )

    def step(state: Any, inputs: np.ndarray) -> tuple[Any, np.ndarray]:
        state = jax.tree.map(lambda leaf: leaf.item() if np.ndim(leaf) == 0 and hasattr(leaf, "item") else leaf, state)
        present = inputs[0, :, 2] > 0.25
        state, samples = output.step(config, state, inputs[0, :, :2], present, volume=0.8)
        return state, samples[None]

    layer = StreamingLayer(
        whole=lambda inputs: step(output.init_state(config), inputs)[1],
        init_state=lambda batch: output.init_state(config),
        step=step,
    )
    random = np.random.default_rng(0)
    there = np.repeat(random.random(10), 27)[:, None]
    inputs = np.concatenate([random.normal(0, 0.7, (270, 2)), there], axis=1).astype(np.float32)[None]
    check_streaming(layer, inputs, tolerance=0.0)


def test_moderate_music_is_unchanged_but_for_the_lowest_notes():
    sound = tone(48_000, 0.7)
    got = played(sound)
    assert np.abs(got - sound).max() < 0.02  # the DC block turns the phase by less than a degree
    np.testing.assert_array_equal(played(np.zeros((1000, 2), np.float32)), 0.0)


def test_the_delay_is_what_the_configuration_says():
    click = np.zeros((500, 2), np.float32)
    click[100] = 0.5
    _, got = output.step(CONFIG, output.init_state(CONFIG), click, np.ones(500, bool))
    assert np.abs(got).max(axis=1).argmax() == 100 + LATE and LATE == 72


def test_sound_that_only_just_fits_is_not_turned_down():
    config = OutputConfig(dc_block_hz=1.0)
    got = played(tone(4800, 0.95, 2000.0), config=config)
    assert np.abs(got).max() == pytest.approx(0.95, abs=1e-3)


def test_dc_is_gone_within_a_moment():
    got = played(tone(96_000, 0.3) + np.float32(0.4))
    assert abs(got[48_000:].mean()) < 1e-3


@pytest.mark.parametrize("level", [1.0, 2.0, 8.0])
def test_loud_music_is_turned_down_and_not_distorted(level):
    got = played(tone(96_000, level))
    assert 0.95 < np.abs(got).max() <= CEILING
    spectrum = np.abs(np.fft.rfft(got[48_000:, 0] * np.hanning(48_000)))
    harmonics = np.sqrt(sum(spectrum[440 * k] ** 2 for k in range(2, 20))) / spectrum[440]
    assert harmonics < 0.005


def test_the_last_clip_never_has_to_act(monkeypatch):
    random = np.random.default_rng(0)
    sound = (random.normal(0, 1, (9600, 2)) * np.exp(random.normal(0, 2, (9600, 1)))).astype(np.float32)
    clipped = played(sound)
    assert np.abs(clipped).max() > 0.95
    monkeypatch.setattr(output, "_clip", lambda samples, ceiling: samples)
    np.testing.assert_array_equal(played(sound), clipped)


def test_a_guard_shapes_what_the_limiter_leaves_and_cannot_break_the_ceiling():
    sound, there = tone(9600, 0.9), np.ones(9600, bool)
    _, plain = output.step(CONFIG, output.init_state(CONFIG), sound, there)
    _, shaped = output.step(CONFIG, output.init_state(CONFIG), sound, there, guard=safety.guard)
    np.testing.assert_array_equal(shaped, safety.guard(plain))
    assert np.abs(shaped).max() < 0.9
    _, loud = output.step(CONFIG, output.init_state(CONFIG), sound, there, guard=lambda samples: 3 * samples)
    assert np.abs(loud).max() <= CEILING


def test_after_a_peak_the_level_comes_back():
    sound = tone(96_000, 0.2)
    sound[10_000:12_000] *= 20.0
    got = played(sound)
    assert np.abs(got).max() <= CEILING
    assert 0.03 < np.abs(got[13_000:14_000]).max() < 0.1  # still turned down, by what the peak of 4 took
    assert np.abs(got[90_000:]).max() == pytest.approx(0.2, abs=2e-3)


def test_no_number_can_spoil_the_stream():
    sound = tone(96_000, 0.5)
    sound[5000], sound[5001], sound[5002] = np.nan, np.inf, -1e30
    got = played(sound)
    assert np.isfinite(got).all() and np.abs(got).max() <= CEILING
    assert np.abs(got[-2000:]).max() > 0.4  # it plays on


def test_volume_moves_without_a_step():
    state = output.init_state(CONFIG)
    sound, there = tone(4800, 0.5, 50.0), np.ones(4800, bool)
    state, loud = output.step(CONFIG, state, sound, there)
    state, quiet = output.step(CONFIG, state, tone(4800, 0.5, 50.0), there, volume=0.0)
    assert np.abs(np.diff(np.concatenate([loud, quiet]), axis=0)).max() < 0.006
    assert not quiet[2000:].round(2).any()


def test_an_underrun_is_heard_as_a_fade_and_counted():
    sound, there = tone(48_000, 0.6), np.ones(48_000, bool)
    there[20_000:24_000] = False
    state, got = output.step(CONFIG, output.init_state(CONFIG), np.where(there[:, None], sound, 0), there)
    steepest = np.abs(np.diff(sound, axis=0)).max()
    assert np.abs(np.diff(got, axis=0)).max() < 1.6 * steepest
    assert np.abs(got[20_000 + LATE : 24_000 + LATE]).reshape(20, -1).max(axis=1).min() > 0.1
    assert state.concealment.underruns == 1


@pytest.mark.parametrize("field", [{"dc_block_hz": float("nan")}, {"dc_block_hz": 100.0}])
def test_refuses_constants_out_of_range(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        OutputConfig(**field)
