"""The hop compiles for a TPU on a machine that has none: lowered and serialized, both kinds of model."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from flax.traverse_util import unflatten_dict

from magenta_rt_py.lm.config import tiny
from magenta_rt_py.lm.decode import Controls, generate_tokens, make_controls
from magenta_rt_py.lm.model import parameter_shapes

FRAMES = 4


@pytest.mark.parametrize("factorised", [False, True], ids=["released geometry", "starter geometry"])
def test_the_hop_exports_for_tpu(factorised):
    config = dataclasses.replace(tiny(factorised=factorised), activation_dtype="bfloat16").plain
    params = unflatten_dict(
        {path: jax.ShapeDtypeStruct(shape, jnp.float32) for path, shape in parameter_shapes(config).items()}, sep="/"
    )
    controls = make_controls(config, FRAMES)

    def hop(params, encoder_tokens, key, *controls):  # what is serialized holds arrays only, not classes of ours
        return generate_tokens(params, config, encoder_tokens, Controls(*controls), key, frames=FRAMES)

    tokens = jax.ShapeDtypeStruct((2, config.encoder_tokens), jnp.int32)
    exported = jax.export.export(jax.jit(hop), platforms=("tpu",))(params, tokens, jax.random.PRNGKey(0), *controls)
    assert exported.platforms == ("tpu",)
    assert [leaf.shape for leaf in exported.out_avals] == [(FRAMES, config.num_levels)]
    text = exported.mlir_module()
    assert "stablehlo.while" in text and "bf16" in text
    assert jax.export.deserialize(exported.serialize()).platforms == ("tpu",)
