"""The output stage: safe, clean, without delay, and the same whatever the blocks."""

from typing import Any

import jax
import numpy as np
import pytest

from magenta_rt_py.generators.safety import CEILING, guard
from magenta_rt_py.live import concealment, output
from magenta_rt_py.live.output import OutputConfig
from magenta_rt_py.nn.streaming import StreamingLayer
from magenta_rt_py.testing import check_streaming

CONFIG = OutputConfig()


def tone(samples: int, level: float, hertz: float = 440.0) -> np.ndarray:
    wave = level * np.sin(2 * np.pi * hertz / 48_000 * np.arange(samples))
    return np.stack([wave, wave], axis=1).astype(np.float32)


def played(sound: np.ndarray, *, config: OutputConfig = CONFIG, volume: float = 1.0) -> np.ndarray:
    state = output.init_state(config)
    return output.step(config, state, sound, np.ones(len(sound), bool), guard=guard, volume=volume)[1]


def test_streamed_equals_whole_to_the_last_bit():
    config = OutputConfig(fades=concealment.ConcealmentConfig(memory_samples=20, fade_out_samples=70, fade_in_samples=30))

    def step(state: Any, inputs: np.ndarray) -> tuple[Any, np.ndarray]:
        state = jax.tree.map(lambda leaf: leaf.item() if np.ndim(leaf) == 0 and hasattr(leaf, "item") else leaf, state)
        present = inputs[0, :, 2] > 0.25
        state, samples = output.step(config, state, inputs[0, :, :2], present, guard=guard, volume=0.8)
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


def test_dc_is_gone_within_a_moment():
    got = played(tone(96_000, 0.3) + np.float32(0.4))
    assert abs(got[48_000:].mean()) < 1e-3


@pytest.mark.parametrize("level", [1.0, 2.0, 8.0])
def test_loud_music_is_turned_down_and_not_distorted(level):
    got = played(tone(96_000, level))
    assert np.abs(got).max() <= CEILING + 1e-6
    spectrum = np.abs(np.fft.rfft(got[48_000:, 0] * np.hanning(48_000)))
    harmonics = np.sqrt(sum(spectrum[440 * k] ** 2 for k in range(2, 20))) / spectrum[440]
    assert harmonics < 0.02
    # Without the limiter the guard alone squares it off.
    alone = np.abs(np.fft.rfft(guard(tone(48_000, level))[:, 0] * np.hanning(48_000)))
    assert np.sqrt(sum(alone[440 * k] ** 2 for k in range(2, 20))) / alone[440] > 2 * harmonics


def test_after_a_peak_the_level_comes_back():
    sound = tone(96_000, 0.2)
    sound[10_000:12_000] *= 20.0
    got = played(sound)
    assert np.abs(got).max() <= CEILING + 1e-6
    assert 0.03 < np.abs(got[13_000:14_000]).max() < 0.1  # still turned down, by what the peak of 4 took
    assert np.abs(got[90_000:]).max() == pytest.approx(0.2, abs=2e-3)


def test_no_number_can_spoil_the_stream():
    sound = tone(96_000, 0.5)
    sound[5000], sound[5001], sound[5002] = np.nan, np.inf, -1e30
    got = played(sound)
    assert np.isfinite(got).all() and np.abs(got).max() <= CEILING + 1e-6
    assert np.abs(got[-2000:]).max() > 0.4  # it plays on


def test_volume_moves_without_a_step():
    state = output.init_state(CONFIG)
    sound, there = tone(4800, 0.5, 50.0), np.ones(4800, bool)
    state, loud = output.step(CONFIG, state, sound, there, guard=guard)
    state, quiet = output.step(CONFIG, state, tone(4800, 0.5, 50.0), there, guard=guard, volume=0.0)
    assert np.abs(np.diff(np.concatenate([loud, quiet]), axis=0)).max() < 0.006
    assert not quiet[2000:].round(2).any()


def test_an_underrun_is_heard_as_a_fade_and_counted():
    sound, there = tone(48_000, 0.6), np.ones(48_000, bool)
    there[20_000:24_000] = False
    state, got = output.step(CONFIG, output.init_state(CONFIG), np.where(there[:, None], sound, 0), there, guard=guard)
    steepest = np.abs(np.diff(sound, axis=0)).max()
    assert np.abs(np.diff(got, axis=0)).max() < 1.6 * steepest
    assert np.abs(got[20_000:24_000]).reshape(20, -1).max(axis=1).min() > 0.1
    assert state.concealment.underruns == 1


@pytest.mark.parametrize(
    "field", [{"threshold": 0.0}, {"attack_seconds": 0.0}, {"dc_block_hz": float("nan")}, {"release_seconds": -1.0}]
)
def test_refuses_constants_out_of_range(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        OutputConfig(**field)
