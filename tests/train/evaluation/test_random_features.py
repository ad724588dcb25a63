"""The random space is the same everywhere, and tells sounds apart without having learned anything."""

import numpy as np
import pytest

from magenta_rt_py.train.evaluation import frechet, random_features


def _sounds(kind, count):
    time = np.arange(2 * 48_000) / 48_000
    found = []
    for seed in range(count):
        random = np.random.default_rng([seed, len(kind)])
        if kind == "tones":
            mono = sum(np.sin(2 * np.pi * pitch * time) for pitch in random.uniform(150, 900, 3)) / 3
        else:
            mono = random.standard_normal(len(time)) * np.exp(-8.0 * (time * random.uniform(1.5, 3.0) % 1.0))
        found.append(random_features.describe(np.stack([0.1 * mono] * 2, -1).astype(np.float32)))
    return np.stack(found)


def test_numbers_are_the_same_on_every_machine():
    time = np.arange(48_000) / 48_000
    tone = (0.2 * np.sin(2 * np.pi * 440.0 * time)).astype(np.float32)
    found = random_features.describe(np.stack([tone, tone], -1))
    assert found.shape == (random_features.DIM,)
    np.testing.assert_allclose(found[:4], [1.23676, 2.09620, 0.893907, 0.393040], rtol=1e-3)


def test_kinds_of_sound_are_farther_apart_than_halves_of_one():
    tones, bursts = _sounds("tones", 12), _sounds("bursts", 12)
    apart = frechet.frechet_distance(tones, bursts)
    assert apart > 5 * frechet.frechet_distance(tones[:6], tones[6:])
    assert apart > 5 * frechet.frechet_distance(bursts[:6], bursts[6:])


def test_too_little_sound_is_refused():
    with pytest.raises(ValueError, match="at least 48000"):
        random_features.describe(np.zeros((1000, 2), np.float32))
