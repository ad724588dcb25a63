"""Adapters: nothing at strength 0, the same sum merged or attached, and only where they are asked for."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py import lm
from magenta_rt_py.lm import adapters
from magenta_rt_py.lm.adapters import AdapterConfig
from magenta_rt_py.lm.config import tiny
from magenta_rt_py.lm.model import parameter_shapes

CONFIG = tiny()
ADAPTERS = AdapterConfig(rank=3, alpha=6.0)
KEY = jax.random.PRNGKey(1)


def lively(tree, seed):
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(generator.normal(0, 0.3, leaf.shape).astype(np.float32)), tree)


@pytest.fixture(scope="module")
def params():
    made = lm.init(KEY, CONFIG)
    kernel = made["encoder"]["layers_0"]["attention"]["query"]["kernel"]
    made["encoder"]["layers_0"]["attention"]["query"]["kernel"] = kernel.at[0, 0].set(-0.0)
    return made


@pytest.fixture(scope="module")
def trained():
    return lively(adapters.init(KEY, ADAPTERS, CONFIG), 2)


def scores(params, config=CONFIG):
    generator = np.random.default_rng(0)
    context = jnp.asarray(generator.integers(2, 60, (2, CONFIG.encoder_tokens)), jnp.int32)
    targets = jnp.asarray(generator.integers(0, 32, (2, 4, 3)) + 2 + 32 * np.arange(3), jnp.int32)
    return lm.forward(params, config, context, targets)


def bits(tree):
    return [np.asarray(leaf).view(np.uint32) for leaf in jax.tree.leaves(tree)]


def test_strength_zero_is_the_base_bit_for_bit(params, trained):
    merged = jax.jit(lambda strength: adapters.merge(params, trained, strength, ADAPTERS))(0.0)
    for ours, base in zip(bits(merged), bits(params), strict=True):
        np.testing.assert_array_equal(ours, base)
    assert np.signbit(merged["encoder"]["layers_0"]["attention"]["query"]["kernel"][0, 0])


def test_fresh_adapters_change_nothing_and_trained_ones_do(params, trained):
    fresh = adapters.init(KEY, ADAPTERS, CONFIG)
    base = scores(params)
    np.testing.assert_array_equal(scores(adapters.merge(params, fresh, 1.0, ADAPTERS)), base)
    assert float(jnp.abs(scores(adapters.merge(params, trained, 1.0, ADAPTERS)) - base).max()) > 0.05


def test_attached_and_merged_give_the_same_scores(params, trained):
    merged = scores(adapters.merge(params, trained, 1.0, ADAPTERS))
    with adapters.attached(trained, ADAPTERS):
        attached = scores(params)
    np.testing.assert_allclose(attached, merged, atol=2e-4)
    np.testing.assert_array_equal(scores(params), scores(adapters.merge(params, trained, 0.0, ADAPTERS)))


def test_gradients_are_the_same_where_layers_are_computed_again(params, trained):
    def gradients(config):
        def loss(tried):
            with adapters.attached(tried, ADAPTERS):
                return jnp.square(scores(params, config)).mean()

        return jax.jit(jax.grad(loss))(trained)

    kept, again = gradients(CONFIG), gradients(dataclasses.replace(CONFIG, rematerialise=True))
    for ours, theirs in zip(jax.tree.leaves(kept), jax.tree.leaves(again), strict=True):
        assert float(jnp.abs(ours).max()) > 0
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5)


def test_strength_is_linear_in_the_kernels(params, trained):
    def kernel(strength):
        merged = adapters.merge(params, trained, strength, ADAPTERS)
        return merged["encoder"]["layers_0"]["mlp"]["wo"]["kernel"]

    pair = trained["encoder"]["layers_0"]["mlp"]["wo"]
    np.testing.assert_allclose(kernel(1.0) - kernel(0.0), 2.0 * pair["a"] @ pair["b"], atol=1e-5)
    np.testing.assert_allclose(kernel(-0.5) - kernel(0.0), -(pair["a"] @ pair["b"]), atol=1e-5)


def test_only_the_targets_get_adapters():
    chosen = AdapterConfig(rank=2, targets=[r"encoder_decoder_attention/(query|value)$"])
    shapes = adapters.adapter_shapes(chosen, CONFIG)
    assert len(shapes) == 2 * 2 * CONFIG.temporal_layers
    assert all("encoder_decoder_attention" in path for path in shapes)
    layer = "decoder/decoder/temporal_decoder/layers_1/encoder_decoder_attention/value"
    assert shapes[f"{layer}/a"] == (16, 2) and shapes[f"{layer}/b"] == (2, 16)


def test_the_default_targets_are_all_dense_layers_but_no_table():
    shapes = adapters.adapter_shapes(ADAPTERS, CONFIG)
    kernels = [path for path in parameter_shapes(CONFIG) if path.endswith("/kernel") and "logits_dense" not in path]
    assert len(shapes) == 2 * len(kernels)


def test_they_fit_a_factorised_model_and_its_materialized_form():
    factorised = tiny(factorised=True)
    assert adapters.adapter_shapes(ADAPTERS, factorised) == adapters.adapter_shapes(ADAPTERS, factorised.plain)


def test_what_does_not_fit_is_refused(trained):
    flat = lm.flatten(trained)
    with pytest.raises(ValueError, match="matches no dense layer"):
        adapters.adapter_shapes(AdapterConfig(targets=("nowhere",)), CONFIG)
    with pytest.raises(ValueError, match="got rank 0"):
        AdapterConfig(rank=0)
    with pytest.raises(ValueError, match="has shape"):
        adapters.load(flat, dataclasses.replace(ADAPTERS, rank=4), CONFIG)
    loaded = adapters.load(flat, ADAPTERS, CONFIG)
    assert jax.tree.structure(loaded) == jax.tree.structure(trained)
