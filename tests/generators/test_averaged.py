"""A bundle whose finer levels are averaged: loaded with the codec's vectors, and played alike by both generators."""

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle, save_bundle
from magenta_rt_py.generators import system
from magenta_rt_py.generators.live_lm import LiveLM
from magenta_rt_py.live import transport
from magenta_rt_py.live.frame import Conditioning
from magenta_rt_py.live.generator import Request


@pytest.fixture(scope="module")
def drawing_model(tiny_bundle, tmp_path_factory):
    base = load_bundle(tiny_bundle)
    parts = {name: (base.configs[name], base.tensors(name)) for name in base.configs}
    parts["lm"] = (base.configs["lm"] | {"averaged_levels": 0}, parts["lm"][1])
    return system.load(save_bundle(tmp_path_factory.mktemp("drawing") / "bundle", parts=parts, record=base.record))


def test_the_vectors_are_the_codecs(model, drawing_model):
    models = model.models
    assert models.lm_config.averaged_levels == models.lm_config.num_levels - 1
    np.testing.assert_array_equal(models.averaged.vectors, models.codec.code_vectors[1 : models.lm_config.num_levels])
    assert drawing_model.models.averaged is None


def test_stream_and_live_generator_average(model, drawing_model):
    def codes(music, temperature):
        knobs = Conditioning(temperature, 0, 0.0, 0.0, None, transport.start(120.0))
        frames = LiveLM(music.models).generate(Request(0, 0, 0, 50, (), knobs, seed=3))
        return np.stack([frame.codes for frame in frames])

    hot, cold = codes(model, 3.0), codes(model, 0.0)
    assert not np.array_equal(hot[:, 0], cold[:, 0])
    # The coarsest level of the first frame is drawn as ever; the finer ones are other codes.
    drawn = codes(drawing_model, 3.0)
    assert hot[0, 0] == drawn[0, 0] and not np.array_equal(hot[:, 1:], drawn[:, 1:])
    sound = model.stream(model.mix({"techno": 1.0}), seed=1).next_chunk()
    assert np.isfinite(sound).all() and np.abs(sound).max() > 0
