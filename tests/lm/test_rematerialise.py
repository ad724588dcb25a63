"""Rematerialised layers: the same numbers and names, and less memory between forward and backward pass.

Memory is counted in the traced gradient: the CPU's compiler merges a layer that is computed again with its first
computation, if it optimises at all, and then shows nothing of it.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py import lm
from magenta_rt_py.lm.config import tiny
from magenta_rt_py.lm.model import parameter_shapes
from tests.train.finetune.liveness import peak_bytes

PLAIN = dataclasses.replace(tiny(), encoder_layers=4, temporal_layers=2, context_frames=128)
AGAIN = dataclasses.replace(PLAIN, rematerialise=True)


def inputs():
    generator = np.random.default_rng(0)
    context = jnp.asarray(generator.integers(2, 60, (4, PLAIN.encoder_tokens)), jnp.int32)
    return context, jnp.asarray(generator.integers(0, 32, (4, 4, 3)) + 2 + 32 * np.arange(3), jnp.int32)


def gradient_of(config):
    context, targets = inputs()

    def loss(params):
        return jnp.square(lm.forward(params, config, context, targets)).mean()

    return jax.value_and_grad(loss)


@pytest.fixture(scope="module")
def params():
    return lm.init(jax.random.PRNGKey(0), PLAIN)


def test_loss_and_gradients_are_the_same(params):
    (loss, gradients), (again, theirs) = (jax.jit(gradient_of(config))(params) for config in (PLAIN, AGAIN))
    assert float(again) == pytest.approx(float(loss), rel=1e-6)
    for ours, other in zip(jax.tree.leaves(gradients), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-6)


def test_it_takes_less_memory(params):
    plain, again = (peak_bytes(jax.make_jaxpr(gradient_of(config))(params).jaxpr) for config in (PLAIN, AGAIN))
    assert again < 0.8 * plain


def test_parameters_keep_their_names():
    assert parameter_shapes(PLAIN) == parameter_shapes(AGAIN)
