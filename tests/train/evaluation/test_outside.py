"""Hooks for other programs: nothing is imported before it is asked for, and what is missing is one line."""

import sys
import types

import numpy as np
import pytest

from magenta_rt_py.errors import MrtError
from magenta_rt_py.train.evaluation import outside


class Loudness:
    """A hook."""

    name, kind = "loudness", "embedding"

    def __call__(self, samples):
        return np.abs(samples).mean(0, keepdims=True)


@pytest.fixture
def module(monkeypatch):
    """A module of somebody else's."""
    made = types.ModuleType("somebody")
    made.make = Loudness
    made.wrong = lambda: 3
    monkeypatch.setitem(sys.modules, "somebody", made)


@pytest.mark.parametrize("name", list(outside.KNOWN))
def test_a_package_that_is_missing_is_one_line(name, monkeypatch):
    for package in ("openl3", "torch", "hear21passt", "hear21passt.base", "laion_clap"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MrtError, match=f"the hook '{name}' needs the package .* which is not installed") as caught:
        outside.load(name)
    assert "\n" not in str(caught.value)


def test_anybody_may_bring_a_hook(module):
    hook = outside.load("somebody:make")
    assert hook(np.ones((10, 2), np.float32)).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("name", "message"),
    [("mfcc", "expected one of"), ("somebody:nothing", "has no 'nothing'"), ("somebody:wrong", "which is no hook")],
)
def test_what_is_no_hook_is_refused(module, name, message):
    with pytest.raises(ValueError, match=message):
        outside.load(name)


def test_passt_labels_sum_to_one(monkeypatch):
    """With a stand-in for the package: 32 kHz mono goes in, probabilities come out."""
    seen = []

    class Tensor:
        def __init__(self, values):
            self.values = values

        def numpy(self):
            return self.values

    class Model:
        def eval(self):
            return self

        def __call__(self, tensor):
            seen.append(tensor.values.shape)
            return Tensor(np.random.default_rng(0).standard_normal((len(tensor.values), 527)))

    class NoGrad:
        def __enter__(self):
            return self

        def __exit__(self, *problem):
            return None

    torch = types.SimpleNamespace(no_grad=NoGrad, from_numpy=Tensor)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "hear21passt", types.ModuleType("hear21passt"))
    base = types.SimpleNamespace(get_basic_model=lambda mode: Model() if mode == "logits" else None)
    monkeypatch.setitem(sys.modules, "hear21passt.base", base)
    rows = outside.load("passt")(np.zeros((480_000 * 2, 2), np.float32))
    assert seen == [(2, 320_000)]
    assert rows.shape == (2, 527)
    np.testing.assert_allclose(rows.sum(1), 1.0, rtol=1e-5)
