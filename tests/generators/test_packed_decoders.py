"""Packed decoders: made once for a set of parameters, anew for a strength of the adapters, left out where XLA plays."""

import dataclasses

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle, save_bundle
from magenta_rt_py.generators import codec_lm, system
from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.packed_decoders import KEPT, PackedDecoders
from magenta_rt_py.generators.tiny_released import save_tiny_released_bundle
from magenta_rt_py.lm import narrow_decode
from magenta_rt_py.lm.packing import STORAGES


def decoders_of(models, storage="float32"):
    return PackedDecoders(models.lm_config, models.averaged, storage)


def test_a_narrow_model_on_a_cpu_is_loaded_with_them(models):
    assert models.packed_of(models.lm_params) is not None
    narrow, wide = models.lm_config, dataclasses.replace(models.lm_config, dim=768)
    assert all(narrow_decode.can_loop(narrow, storage) for storage in STORAGES)
    assert not narrow_decode.can_loop(wide, "float32") and narrow_decode.can_loop(wide, "int8")
    for storage in STORAGES:
        assert not narrow_decode.can_loop(dataclasses.replace(narrow, activation_dtype="bfloat16"), storage)
    assert dataclasses.replace(models, is_exact=True).packed_of(models.lm_params) is None
    assert dataclasses.replace(models, packed_decoders=None).packed_of(models.lm_params) is None


@pytest.mark.parametrize("storage, expected", [("float32", None), ("int8", "int8")])
def test_a_wide_model_on_a_cpu_is_loaded_with_them_if_stored_in_int8(tmp_path, monkeypatch, storage, expected):
    monkeypatch.setattr(narrow_decode, "NARROW_DIM", 8)  # so that a model of 16 is wide
    first = load_bundle(save_tiny_released_bundle(tmp_path / "first"))
    parts = {name: (config, first.tensors(name)) for name, config in first.configs.items()}
    saved = save_bundle(tmp_path / storage, parts=parts, record=first.record, storage={"lm": storage})
    models = system.load(saved).models
    assert (None if models.packed_decoders is None else models.packed_decoders.storage) == expected
    _, made = codec_lm.generate_chunk(models, codec_lm.init_state(models, seed=3), None, Controls())
    assert made.codes.shape == (50, models.lm_config.num_levels)
    assert 0 <= made.codes.min() <= made.codes.max() < models.lm_config.codebook_size


def test_the_last_ones_are_kept(models):
    decoders = decoders_of(models)
    sets = [dict(models.lm_params) for _ in range(KEPT + 1)]
    packed = [decoders.of(params) for params in sets]
    assert decoders.of(sets[-1]) is packed[-1]
    assert decoders.of(sets[-2]) is packed[-2]
    assert decoders.of(sets[0]) is not packed[0]


def test_adapters_are_in_them(adapted_model):
    models = adapted_model.models
    none, full = (models.packed_of(models.params_at(strength)) for strength in (0.0, 1.0))
    base = decoders_of(models).of(models.lm_params)
    np.testing.assert_array_equal(none.weights, base.weights)
    assert not np.array_equal(full.weights, base.weights)
    np.testing.assert_array_equal(full.places, base.places)


def test_a_stream_goes_on_as_with_xla(models):
    with_xla = dataclasses.replace(models, packed_decoders=None)
    state = codec_lm.init_state(models, seed=3)
    controls = Controls(temperature=0.9, top_k=0, bpm=120.0)
    for _ in range(2):
        next_state, made = codec_lm.generate_chunk(models, state, None, controls)
        _, expected = codec_lm.generate_chunk(with_xla, state, None, controls)
        np.testing.assert_array_equal(made.codes, expected.codes)
        np.testing.assert_array_equal(made.samples, expected.samples)
        state = next_state


def test_another_storage_is_refused(models):
    with pytest.raises(ValueError, match="got storage 'float16', expected one of float32, int8"):
        decoders_of(models, "float16")
