"""One tiny model for all tests of this folder."""

import dataclasses

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle, save_bundle
from magenta_rt_py.generators import codec_lm, system
from magenta_rt_py.generators.tiny import random_tensors
from magenta_rt_py.lm import adapters
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.style import steering


@pytest.fixture(scope="session")
def model(tiny_bundle):
    """The bundle, loaded."""
    return system.load(tiny_bundle)


@pytest.fixture(scope="session")
def models(model):
    """Its parts, as `generate_chunk` takes them."""
    return model.models


@pytest.fixture(scope="session")
def adapted_model(tiny_bundle, tmp_path_factory):
    """The same bundle as a finetune would leave it: with adapters that begin at strength 0.75, and with directions."""
    base, generator = load_bundle(tiny_bundle), np.random.default_rng(1)
    sizes = adapters.AdapterConfig(rank=2, strength=0.75)
    matrices = random_tensors(adapters.adapter_shapes(sizes, LMConfig(**base.configs["lm"])), generator)
    dim = base.configs["style"]["dim"]
    found = steering.Steering(
        generator.normal(size=dim).astype(np.float32),
        generator.normal(size=(2, dim)).astype(np.float32),
        np.array([3, 1], np.int32),
    )
    parts = {name: (base.configs[name], base.tensors(name)) for name in base.configs}
    parts |= {adapters.PART: (dataclasses.asdict(sizes), matrices), steering.PART: found.to_part()}
    folder = save_bundle(tmp_path_factory.mktemp("adapted") / "bundle", parts=parts, record=base.record)
    return system.load(folder)


@pytest.fixture(scope="session")
def warm_state(models):
    """A state with ten seconds of context, primed with noise: short requests are allowed."""
    noise = np.random.default_rng(5).normal(0, 0.1, (250 * 1920, 2)).astype(np.float32)
    return codec_lm.prime(models, codec_lm.init_state(models, seed=3), noise, bpm=120.0)
