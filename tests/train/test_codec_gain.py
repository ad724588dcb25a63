"""The gain makes up for what the phase stage changes in level, and touches nothing else."""

import dataclasses

import numpy as np
import pytest

from magenta_rt_py.codec import CompactCodec, bands, network
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.train.codec_features import fit_start
from magenta_rt_py.train.codec_gain import _band_error, measured_gain

CONFIG = dataclasses.replace(
    codec_config.tiny(), linear_bands_to_hz=3000.0, jitter_above_hz=6000.0, latent_dim=32, num_levels=4, codebook_size=32
)


def make_sound(seed: int) -> np.ndarray:
    """Noise that comes and goes, brighter left than right."""
    random = np.random.default_rng(seed)
    swell = 0.05 * (1.2 + np.sin(np.arange(96_000) / 9000.0))[:, None]
    noise = random.standard_normal((96_000, 2))
    return (swell * np.stack([noise[:, 0], np.convolve(noise[:, 1], np.ones(4) / 2, "same")], axis=1)).astype(np.float32)


@pytest.fixture(scope="module")
def features():
    return [bands.stored_features(bands.band_energies(CONFIG, make_sound(seed)[None]))[0] for seed in range(3)]


@pytest.fixture(scope="module")
def start(features):
    return fit_start(CONFIG, features, seed=0)


@pytest.fixture(scope="module")
def measured(features, start):
    lines = []
    return measured_gain(CONFIG, start, features, log=lines.append), lines


def test_only_the_gain_is_changed(start, measured):
    tensors, lines = measured
    assert len(lines) == 2 and tensors.keys() == start.keys()
    for name in start:
        assert np.array_equal(tensors[name], start[name]) == (name != network.GAIN)


def test_bands_come_out_at_their_level(start, measured):
    """Of a sound that was not measured; before, the smooth bands are too quiet and the jittered ones too loud."""
    sound = make_sound(9)
    energies = bands.band_energies(CONFIG, sound[None])

    def error(tensors):
        codec = CompactCodec.from_tensors(CONFIG, tensors)
        return _band_error(CONFIG, energies, codec.decode(codec.encode(sound[None])))

    before, after = error(start), error(measured[0])
    jittered = bands.band_edges(CONFIG) * 48_000 / 2048 >= CONFIG.jitter_above_hz
    assert before[~jittered].mean() < -0.03 and before[jittered].mean() > 0.03
    assert np.abs(after).mean() < 0.5 * np.abs(before).mean()


def test_codecs_from_before_the_gain_have_none(start):
    older = {name: value for name, value in start.items() if name != network.GAIN}
    codec = CompactCodec.from_tensors(CONFIG, older)
    np.testing.assert_array_equal(codec.to_tensors()[network.GAIN], np.zeros(bands.band_count(CONFIG)))


def test_the_trim_comes_on_top(features, start, measured):
    """It changes what is heard by as much as it says, and nothing of what is measured."""
    trimmed = dataclasses.replace(CONFIG, trim_db=-6.0)
    again = measured_gain(trimmed, start, features, log=lambda line: None)
    np.testing.assert_array_equal(again[network.GAIN], measured[0][network.GAIN])
    sound = make_sound(9)
    levels = []
    for config in (CONFIG, trimmed):
        codec = CompactCodec.from_tensors(config, again)
        levels.append(20 * np.log10(np.std(codec.decode(codec.encode(sound[None])))))
    assert levels[1] - levels[0] == pytest.approx(-6.0, abs=0.05)
