import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.nn.conv import CausalDepthwiseConv
from magenta_rt_py.nn.streaming import StreamingLayer
from magenta_rt_py.testing import check_streaming


@pytest.fixture
def conv():
    layer = CausalDepthwiseConv(features=5, kernel_frames=4)
    return layer, layer.init(jax.random.key(0), jnp.zeros((1, 1, 5)))


@pytest.fixture
def inputs():
    return np.random.default_rng(1).standard_normal((2, 30, 5)).astype(np.float32)


def test_is_the_sum_written_out(conv, inputs):
    layer, variables = conv
    kernel = np.asarray(variables["params"]["kernel"])
    expected = np.zeros_like(inputs)
    for t in range(30):
        for tap in range(4):
            past = t - 3 + tap
            if past >= 0:
                expected[:, t] += kernel[tap] * inputs[:, past]
    np.testing.assert_allclose(layer.apply(variables, jnp.asarray(inputs)), expected, atol=1e-6)


def test_streams(conv, inputs):
    layer, variables = conv
    check_streaming(
        StreamingLayer(
            whole=lambda x: layer.apply(variables, jnp.asarray(x)),
            init_state=layer.init_state,
            step=lambda state, x: layer.apply(variables, state, jnp.asarray(x), method="step"),
            past_inputs=3,
        ),
        inputs,
    )


def test_padding_does_not_enter_the_state(conv, inputs):
    layer, variables = conv
    x = jnp.asarray(inputs)
    state, _ = layer.apply(variables, layer.init_state(2), x[:, :10], method="step")
    padded = x[:, :16].at[:, 10:].set(jnp.nan)
    padded_state, _ = layer.apply(variables, layer.init_state(2), padded, 10, method="step")
    np.testing.assert_array_equal(padded_state, state)
