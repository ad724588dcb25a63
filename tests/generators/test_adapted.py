"""Adapters while it plays: at 0 the base bit for bit, turned without compiling, the last strengths kept."""

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from magenta_rt_py.generators import adapted
from magenta_rt_py.generators.live_lm import LiveLM
from magenta_rt_py.generators.performance import initial_knobs
from magenta_rt_py.live import transport
from magenta_rt_py.live.frame import Conditioning
from magenta_rt_py.live.generator import Request
from magenta_rt_py.live.knobs import KNOBS
from magenta_rt_py.lm import adapters

KERNEL = "encoder/layers_0/attention/query/kernel"


@pytest.fixture(scope="module")
def params_at(adapted_model):
    """Strength -> slash path -> array."""
    return lambda strength: flatten_dict(adapted_model.models.params_at(strength), sep="/")


def bits(array):
    return np.asarray(array).view(np.uint8)


def test_at_zero_the_parameters_are_the_bases_bit_for_bit(models, params_at):
    base, none = flatten_dict(models.lm_params, sep="/"), params_at(0.0)
    assert none.keys() == base.keys()
    for name, array in base.items():
        np.testing.assert_array_equal(bits(none[name]), bits(array), name)


def test_only_kernels_with_adapters_are_made_anew(adapted_model, params_at):
    base, full = flatten_dict(adapted_model.models.lm_params, sep="/"), params_at(1.0)
    changed = {name for name, array in full.items() if array is not base[name]}
    assert KERNEL in changed
    assert all(name.endswith("/kernel") and "logits_dense" not in name for name in changed)
    assert not np.array_equal(full[KERNEL], base[KERNEL])
    np.testing.assert_allclose(params_at(0.5)[KERNEL], (full[KERNEL] + base[KERNEL]) / 2, atol=1e-4)


def test_turning_compiles_nothing_and_keeps_the_last_strengths(adapted_model):
    made, compiled = adapted_model.models.adapted, adapted._merge._cache_size()
    first, second = made.at(0.1), made.at(0.2)
    assert made.at(0.1) is first and made.at(0.2) is second
    made.at(0.3)
    assert made.at(0.2) is second and len(made._kept) == adapted.KEPT_STRENGTHS
    again = made.at(0.1)
    assert again is not first
    np.testing.assert_array_equal(flatten_dict(again, sep="/")[KERNEL], flatten_dict(first, sep="/")[KERNEL])
    assert adapted._merge._cache_size() == compiled


def test_without_a_strength_it_is_the_bundles_own(adapted_model, models, params_at):
    np.testing.assert_array_equal(params_at(None)[KERNEL], params_at(0.75)[KERNEL])
    assert initial_knobs(adapted_model)["adapter_strength"] == 0.75
    assert models.params_at(0.5) is models.lm_params, "without adapters the knob does nothing"


def test_the_knob_goes_as_far_as_the_adapters():
    knob = KNOBS["adapter_strength"]
    assert (knob.low, knob.high, knob.default) == (0.0, adapters.STRONGEST, adapters.AdapterConfig().strength)
    with pytest.raises(ValueError, match="strength"):
        adapters.AdapterConfig(strength=knob.high + 0.1)


def test_a_request_is_made_at_its_own_strength(adapted_model, models):
    def codes(of, strength):
        plain = Conditioning(1.0, 40, 1.0, 0.0, (1, 2, 3, 4, 5, 6), transport.start(120.0), adapter_strength=strength)
        frames = LiveLM(of).generate(Request(0, 0, 0, 50, (), plain, seed=3))
        return np.stack([frame.codes for frame in frames])

    base, finetuned = codes(models, None), codes(adapted_model.models, None)
    np.testing.assert_array_equal(codes(adapted_model.models, 0.0), base)
    np.testing.assert_array_equal(codes(adapted_model.models, 0.75), finetuned)
    assert not np.array_equal(finetuned, base)


def test_a_stream_is_made_at_its_own_strength(adapted_model, model):
    base, off = model.stream(seed=2), adapted_model.stream(seed=2, adapter_strength=0.0)
    np.testing.assert_array_equal(off.next_chunk(), base.next_chunk())
    off.set_controls(adapter_strength=2.0)
    assert not np.array_equal(off.next_chunk(), base.next_chunk())
