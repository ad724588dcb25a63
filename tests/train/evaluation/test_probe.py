"""The probe learns what can be told apart and nothing else."""

import numpy as np
import pytest

from magenta_rt_py.train.evaluation import descriptor, probe


def _sound(kind: str, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    time = np.arange(480_000) / 48_000
    if kind == "tone":
        mono = np.sin(2 * np.pi * generator.uniform(200, 400) * time)
    else:
        mono = generator.standard_normal(480_000) * (np.sin(2 * np.pi * 2.0 * time) > 0.9)
    return np.stack([mono, mono], -1).astype(np.float32) * 0.1


def test_two_plain_classes_are_separated():
    kinds = ["tone", "bursts"] * 4
    rows = np.concatenate([descriptor.describe_all(_sound(kind, i)) for i, kind in enumerate(kinds)])
    ids = np.array([0, 1] * 4)
    trained = probe.train_probe(rows, ids, genres=("tone", "bursts"))
    unheard = [descriptor.describe_all(_sound(kind, 100 + i)) for i, kind in enumerate(kinds)]
    assert trained.accuracy(unheard, kinds) == 1.0
    assert trained.probabilities(unheard[0]).sum() == pytest.approx(1.0)


def test_random_labels_are_not_predicted():
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((200, 50)).astype(np.float32)
    trained = probe.train_probe(rows, np.arange(200) % 4, genres=tuple("abcd"))
    unheard = list(generator.standard_normal((200, 1, 50)).astype(np.float32))
    assert trained.accuracy(unheard, list("abcd") * 50) < 0.4


def test_a_missing_genre_is_refused():
    with pytest.raises(ValueError, match="no window of"):
        probe.train_probe(np.zeros((4, 3), np.float32), np.zeros(4, int), genres=("a", "b"))


def test_description_does_not_hear_the_gain():
    sound = _sound("bursts", 5)
    np.testing.assert_allclose(descriptor.describe(sound), descriptor.describe(0.1 * sound), atol=0.05)


def test_windows_are_ten_seconds_every_five():
    cuts = descriptor.windows(np.zeros((48_000 * 21, 2), np.float32))
    assert [len(cut) for cut in cuts] == [480_000] * 3
    with pytest.raises(ValueError, match="10 s"):
        descriptor.windows(np.zeros((48_000, 2), np.float32))
