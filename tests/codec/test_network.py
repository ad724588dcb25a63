import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.codec import bands, network
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.nn.streaming import StreamingLayer
from magenta_rt_py.testing import check_streaming


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def net(request):
    config = codec_config.tiny()
    features = bands.feature_dim(config)
    scaling = network.statistics(config, 0.1 * jnp.arange(features) % 1, jnp.full(features, 2.0))
    module = network.Encoder(config) if request.param == "encoder" else network.Decoder(config)
    inputs = np.random.default_rng(0).standard_normal((2, 20, features if request.param == "encoder" else config.latent_dim))
    inputs = inputs.astype(np.float32)
    variables = jax.jit(module.init)(jax.random.key(1), inputs, scaling)
    # The correction starts small: made large, so that a mistake in it would show.
    variables["params"]["correction"]["kernel"] *= 50.0
    return module, variables, scaling, inputs


def test_streams_with_the_declared_reach(net):
    module, variables, scaling, inputs = net
    step = jax.jit(lambda state, x: module.apply(variables, state, x, scaling, method="step"))
    layer = StreamingLayer(
        whole=jax.jit(lambda x: module.apply(variables, x, scaling)),
        init_state=module.init_state,
        step=step,
        past_inputs=6,
    )
    check_streaming(layer, inputs)


def test_padding_does_not_enter_the_state(net):
    module, variables, scaling, inputs = net
    step = jax.jit(lambda state, x, valid: module.apply(variables, state, x, scaling, valid, method="step"))
    padded = np.where(np.arange(20)[None, :, None] < 13, inputs, np.nan).astype(np.float32)
    exact, _ = step(module.init_state(2), inputs, 13)
    state, outputs = step(module.init_state(2), padded, 13)
    jax.tree.map(np.testing.assert_array_equal, state, exact)
    assert np.isfinite(outputs[:, :13]).all()


def test_the_starter_is_within_its_size():
    shapes = network.tensor_shapes(codec_config.starter())
    assert sum(np.prod(shape) for shape in shapes.values()) <= 7_000_000
    assert shapes["quantizer/codebooks"] == (16, 1024, 96)


def test_flat_tensors_go_back(net):
    _, variables, _, _ = net
    flat = network.flatten(variables["params"], "encoder") | {"decoder/other": np.zeros(1)}
    back = network.unflatten(flat, "encoder")
    jax.tree.map(np.testing.assert_array_equal, back, variables["params"])
