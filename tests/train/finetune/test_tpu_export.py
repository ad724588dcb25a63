"""The train step compiles for a TPU on a machine that has none: every method, rematerialised and in microbatches."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from magenta_rt_py.lm.adapters import AdapterConfig, adapter_shapes
from magenta_rt_py.lm.config import tiny
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.train.finetune.config import released
from magenta_rt_py.train.finetune.fit import make_objective
from magenta_rt_py.train.loop import create_state
from magenta_rt_py.train.sharded_step import pure_step
from tests.train.finetune.test_plan import batch_shapes, structs

MODEL = tiny()


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_train_step_exports_for_tpu(method):
    config = dataclasses.replace(released(method), accumulate=2, batch_size=4, adapters=AdapterConfig(rank=2))
    optimizer, parameters = config.make_optimizer(), structs(parameter_shapes(MODEL))
    trained, frozen = parameters, ()
    if method == "lora":
        trained, frozen = structs(adapter_shapes(config.adapters, MODEL)), parameters
    state = jax.eval_shape(lambda given: create_state(given, optimizer, with_average=False), trained)
    step = pure_step(make_objective(config, config.training_model(MODEL), None), optimizer, accumulate=2)
    shapes = state, frozen, batch_shapes(MODEL, 4, MODEL.chunk_frames), jax.ShapeDtypeStruct((), jnp.float32)
    leaves, structure = jax.tree.flatten(shapes)

    def flat(*leaves):  # what is serialized holds arrays only, not optax's own classes
        return jax.tree.leaves(step(*jax.tree.unflatten(structure, leaves)))

    exported = jax.export.export(jax.jit(flat), platforms=("tpu",))(*leaves)
    assert exported.platforms == ("tpu",)
    text = exported.mlir_module()
    assert "bf16" in text and "optimization_barrier" in text, "layers are not computed in bfloat16, or not again"
    states = [leaf.shape for leaf in jax.tree.leaves(state)]
    assert [leaf.shape for leaf in exported.out_avals][: len(states)] == states
    assert jax.export.deserialize(exported.serialize()).platforms == ("tpu",)
