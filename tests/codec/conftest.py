"""Synthetic sound, and a codec fitted to it without any training."""

import dataclasses

import numpy as np
import pytest

from magenta_rt_py.codec import CompactCodec, bands
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.train.codec_features import fit_start


def make_sound(seed: int, seconds: float = 2.4) -> np.ndarray:
    """Chords, a little noise and a hit every half second; [samples, 2]."""
    random = np.random.default_rng(seed)
    count = int(48_000 * seconds)
    time = np.arange(count) / 48_000
    sound = 0.003 * random.standard_normal((count, 2))
    for start in range(0, count, 24_000):
        length = min(24_000, count - start)
        decay = np.exp(-time[:length] * 6)
        for _ in range(3):
            tone = np.sin(2 * np.pi * random.uniform(100, 4000) * time[:length]) * decay
            sound[start : start + length] += 0.2 * tone[:, None] * random.uniform(0.3, 1.0, 2)
        sound[start : start + length] += 0.1 * random.standard_normal((length, 2)) * np.exp(-time[:length, None] * 60)
    return sound.astype(np.float32)


def make_tone(frequency_hz: float, seconds: float = 0.8) -> np.ndarray:
    """A steady tone, equal left and right."""
    time = np.arange(int(48_000 * seconds)) / 48_000
    return np.repeat(0.3 * np.sin(2 * np.pi * frequency_hz * time)[:, None], 2, axis=1).astype(np.float32)


@pytest.fixture(scope="session")
def config():
    """Tiny, with a bin for every band up to 4 kHz so that it can place a tone."""
    return dataclasses.replace(codec_config.tiny(), linear_bands_to_hz=3200.0, latent_dim=48, codebook_size=64)


@pytest.fixture(scope="session")
def features(config):
    """Of four sounds, of three tones and of silence, so that the codebooks know them."""
    sounds = [make_sound(seed) for seed in range(4)] + [make_tone(hz) for hz in (330.0, 1234.0, 3010.0)]
    sounds.append(np.zeros((48_000, 2), np.float32))
    return [bands.stored_features(bands.band_energies(config, sound[None]))[0] for sound in sounds]


@pytest.fixture(scope="session")
def tensors(config, features):
    return fit_start(config, features, seed=0)


@pytest.fixture(scope="session")
def codec(config, tensors):
    return CompactCodec.from_tensors(config, tensors)


@pytest.fixture(scope="session")
def sound():
    return make_sound(9)


@pytest.fixture(scope="session")
def tone():
    """The function make_tone."""
    return make_tone


@pytest.fixture(scope="session")
def make():
    """The function make_sound."""
    return make_sound
