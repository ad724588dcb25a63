"""One tiny model for all tests of this folder."""

import numpy as np
import pytest

from magenta_rt_py.generators import codec_lm, system


@pytest.fixture(scope="session")
def model(tiny_bundle):
    """The bundle, loaded."""
    return system.load(tiny_bundle)


@pytest.fixture(scope="session")
def models(model):
    """Its parts, as `generate_chunk` takes them."""
    return model.models


@pytest.fixture(scope="session")
def warm_state(models):
    """A state with ten seconds of context, primed with noise: short requests are allowed."""
    noise = np.random.default_rng(5).normal(0, 0.1, (250 * 1920, 2)).astype(np.float32)
    return codec_lm.prime(models, codec_lm.init_state(models, seed=3), noise, bpm=120.0)
