"""Optimisers move downhill as documented; schedules follow the fraction of the budget."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from magenta_rt_py.train.optim import (
    AdafactorConfig,
    AdamWConfig,
    MuonConfig,
    adafactor,
    adamw,
    constant,
    inverse_square_root,
    muon,
    warmup_cosine,
)


def test_cosine_follows_the_fraction_and_not_the_step():
    schedule = warmup_cosine(1e-3, warmup_steps=10, final_ratio=0.1)
    assert schedule(1000, 0.0) == pytest.approx(1e-3)
    assert schedule(1000, 0.5) == pytest.approx(1e-3 * 0.55)
    assert schedule(1000, 1.0) == schedule(50, 1.0) == pytest.approx(1e-4)
    assert schedule(1000, 1.7) == pytest.approx(1e-4)


def test_warm_up_rises_linearly_by_steps():
    schedule = warmup_cosine(1.0, warmup_steps=4, final_ratio=0.1)
    assert [schedule(step, 0.0) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_released_schedule_is_flat_and_then_inverse_square_root():
    schedule = inverse_square_root(warmup_steps=10_000)
    assert schedule(0, 0.5) == schedule(9_999, 0.9) == pytest.approx(0.01)
    assert schedule(40_000, 0.0) == pytest.approx(0.005)
    finetune = inverse_square_root(step_offset=1_860_000)
    assert finetune(0, 0.0) == pytest.approx(1_860_000**-0.5)


def test_constant_is_constant():
    assert constant(0.3)(5, 0.1) == constant(0.3)(9, 0.9) == 0.3


def test_a_learning_rate_of_zero_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        warmup_cosine(0.0)


def test_adamw_equals_optax_at_a_fixed_rate():
    params = {"kernel": jnp.asarray([[1.0, -2.0], [0.5, 3.0]])}
    gradients = {"kernel": jnp.asarray([[0.1, -0.2], [0.3, 0.4]])}
    ours = adamw(AdamWConfig(clip_norm=1e9))
    theirs = optax.adamw(0.01, b1=0.9, b2=0.98, eps=1e-8, weight_decay=0.02)
    our_state, their_state, our_params, their_params = ours.init(params), theirs.init(params), params, params
    for _ in range(3):
        step, our_state = ours.update(gradients, our_state, our_params)
        our_params = {"kernel": our_params["kernel"] + 0.01 * step["kernel"]}
        step, their_state = theirs.update(gradients, their_state, their_params)
        their_params = optax.apply_updates(their_params, step)
    np.testing.assert_allclose(our_params["kernel"], their_params["kernel"], rtol=1e-5)


def test_weight_decay_leaves_vectors_alone_and_gradients_are_clipped():
    params = {"scale": jnp.ones(3), "kernel": jnp.ones((2, 2))}
    optimizer = adamw(AdamWConfig(weight_decay=0.5))
    zeros = {"scale": jnp.zeros(3), "kernel": jnp.zeros((2, 2))}
    step, _ = optimizer.update(zeros, optimizer.init(params), params)
    np.testing.assert_array_equal(step["scale"], 0.0)
    np.testing.assert_allclose(step["kernel"], -0.5)


def test_multipliers_scale_and_freeze_by_path():
    params = {"decoder": {"kernel": jnp.ones((2, 2))}, "pca": {"kernel": jnp.ones((2, 2))}}
    optimizer = adamw(AdamWConfig(weight_decay=0.0), multipliers=[("^pca/", 0.0), ("kernel", 0.1)])
    step, _ = optimizer.update(params, optimizer.init(params), params)
    np.testing.assert_array_equal(step["pca"]["kernel"], 0.0)
    np.testing.assert_allclose(step["decoder"]["kernel"], -0.1, rtol=1e-4)


def test_adafactor_keeps_row_and_column_sums_only_and_steps_in_units_of_the_weight():
    params = {"kernel": 2.0 * jnp.ones((130, 140))}
    optimizer = adafactor(AdafactorConfig())
    state = optimizer.init(params)
    sizes = sorted(np.size(leaf) for leaf in [state[0].v_row["kernel"], state[0].v_col["kernel"]])
    assert sizes == [130, 140] and np.size(state[0].v["kernel"]) == 1
    step, _ = optimizer.update({"kernel": 1e-3 * jnp.ones((130, 140))}, state, params)
    np.testing.assert_allclose(step["kernel"], -2.0, rtol=1e-3)


def test_muon_moves_a_matrix_alike_in_all_directions_and_the_rest_by_adam():
    generator = np.random.default_rng(0)
    # A gradient whose singular values span a factor of 20.
    left, _ = np.linalg.qr(generator.normal(size=(8, 8)))
    right, _ = np.linalg.qr(generator.normal(size=(8, 8)))
    gradient = (left * np.geomspace(1, 0.05, 8)) @ right
    gradients = {"layer": {"kernel": jnp.asarray(gradient, jnp.float32)}, "bias": jnp.asarray([0.1, -3.0])}
    params = {"layer": {"kernel": jnp.zeros((8, 8))}, "bias": jnp.zeros(2)}
    ours = muon(MuonConfig(iterations=5, update_rms=0.5, weight_decay=0.0))
    step, _ = ours.update(gradients, ours.init(params), params)
    sizes = np.linalg.svd(np.asarray(step["layer"]["kernel"]), compute_uv=False)
    assert sizes.max() / sizes.min() < 3
    assert np.sqrt(np.square(np.asarray(step["layer"]["kernel"])).mean()) == pytest.approx(0.5, rel=0.3)
    assert float((step["layer"]["kernel"] * gradients["layer"]["kernel"]).sum()) < 0
    np.testing.assert_allclose(step["bias"][0], -step["bias"][1], rtol=1e-2)


def test_muon_leaves_tables_and_small_parameters_to_adam():
    params = {name: jnp.ones((4, 4)) for name in ("kernel", "rel_embedding", "codec_map")}
    gradients = {name: jnp.diag(jnp.asarray([1.0, 0.1, 0.01, 0.001])) for name in params}
    ours = muon(MuonConfig(weight_decay=0.0, clip_norm=1e9))
    step, _ = ours.update(gradients, ours.init(params), params)
    for name in ("rel_embedding", "codec_map"):
        np.testing.assert_allclose(np.diag(step[name]), step[name][0, 0], rtol=1e-2)
    assert abs(float(step["kernel"][3, 3])) < 0.9 * abs(float(step["kernel"][0, 0]))
