"""What is heard of a sound comes back from the cache as it was."""

import numpy as np

from magenta_rt_py.train.evaluation import features
from magenta_rt_py.train.evaluation.renders import Sound
from magenta_rt_py.train.evaluation.units import Units
from magenta_rt_py.train.evaluation.workbench import pack, unpack


def _sound(seconds=20.0):
    time = np.arange(round(seconds * 48_000)) / 48_000
    mono = 0.3 * np.sin(2 * np.pi * 220 * time) * np.exp(-5.0 * (2.0 * time % 1.0))
    samples = np.stack([mono, mono], -1).astype(np.float32)
    return Sound(samples=samples, genre="techno", bpm=120.0, seed=3, instruments=("stab",))


def _embed(prompt):
    samples, rate = prompt
    assert rate == 48_000
    return np.array([float(len(samples)), float(np.abs(samples).max())], np.float32)


def test_a_sound_is_measured_by_everything_that_is_asked():
    others = {"loud": lambda samples: np.abs(samples).max(0, keepdims=True)}
    heard = features.hear(_sound(), _embed, text="techno", others=others)
    assert heard.style is not None and heard.style.shape == (2, 2)
    assert heard.random.shape[0] == 2 and heard.descriptors.shape[0] == 3
    assert abs(heard.rhythm.bpm - 120.0) < 3
    assert heard.picture.shape[0] == features.PICTURE_BANDS and heard.picture.max() > 100
    assert heard.others["loud"].shape == (1, 2)
    assert features.hear(_sound(), None).style is None


def test_several_sounds_survive_the_cache(tmp_path):
    heard = [features.hear(_sound(), _embed), features.hear(_sound(10.0), None)]
    units = Units(tmp_path, key="a")
    units.get("render", {}, lambda: pack(heard))
    found = unpack(units.get("render", {}, dict))
    assert units.read == 1
    for one, other in zip(heard, found, strict=True):
        assert (one.genre, one.bpm, one.seed, one.instruments, one.text) == (
            other.genre,
            other.bpm,
            other.seed,
            other.instruments,
            other.text,
        )
        assert one.rhythm == other.rhythm
        np.testing.assert_array_equal(one.descriptors, other.descriptors)
        np.testing.assert_array_equal(one.picture, other.picture)
    assert found[1].style is None
