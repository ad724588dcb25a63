"""Checkpoints of steps: exact, the newest few, whole or not there, and only of the same model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.train.checkpoint_steps import StepStore
from magenta_rt_py.train.optim import adamw
from magenta_rt_py.train.sharded_step import create_state
from magenta_rt_py.train.sharding import make_mesh


def state_at(step, width=3):
    params = {"query": {"kernel": jnp.full((4, width), 0.1 * step)}, "scale": jnp.ones(4)}
    made = create_state(params, adamw(), make_mesh(), with_average=False)
    return made._replace(step=jnp.int32(step))


def test_what_is_kept_comes_back_exactly(tmp_path):
    with StepStore(tmp_path / "steps") as store:
        assert not store.exists()
        state = state_at(7)
        store.save(state)
        found = store.restore(state_at(0))
    for ours, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert jax.tree.structure(found) == jax.tree.structure(state)


def test_the_newest_few_are_kept_and_a_step_is_kept_once(tmp_path):
    with StepStore(tmp_path / "steps", keep=2) as store:
        for step in (1, 2, 3, 3):
            store.save(state_at(step))
        assert store.steps() == [2, 3]
    with StepStore(tmp_path / "steps", keep=2) as store:
        assert int(store.restore(state_at(0)).step) == 3


def test_another_model_is_refused(tmp_path):
    with StepStore(tmp_path / "steps") as store:
        store.save(state_at(1))
        with pytest.raises(CheckpointError, match="another configuration"):
            store.restore(state_at(0, width=5))


def test_a_state_that_is_not_finite_is_refused(tmp_path):
    with StepStore(tmp_path / "steps") as store:
        store.save(state_at(1))
        spoilt = state_at(2)
        spoilt = spoilt._replace(params={**spoilt.params, "scale": jnp.full(4, jnp.nan)})
        with pytest.raises(FloatingPointError, match="step 2"):
            store.save(spoilt)
        assert store.steps() == [1]


def test_half_written_steps_are_none_and_the_next_save_removes_them(tmp_path):
    with StepStore(tmp_path / "steps") as store:
        store.save(state_at(4))
    leftover = tmp_path / "steps" / "5.orbax-checkpoint-tmp-123"
    leftover.mkdir()
    with StepStore(tmp_path / "steps") as store:
        assert store.steps() == [4]
        store.save(state_at(6))
        assert store.steps() == [4, 6]
    assert not leftover.exists()
