"""A training run of two numbers, with the loop and the record as real ones have them."""

import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.train.loop import LoopConfig, create_state, make_step, run
from magenta_rt_py.train.optim import adamw, warmup_cosine
from magenta_rt_py.train.runs import RunRecord


def loss_function(params, batch, key):
    del key
    return ((batch @ params["weights"] - batch.sum(-1)) ** 2).mean(), {}


def batches(step):
    return np.random.default_rng((7, step)).standard_normal((4, 3)).astype(np.float32)


@pytest.fixture
def train():
    """Trains some steps in a folder, with a record; `source` makes the batches."""

    def train_run(directory, max_steps=4, *, rate=0.05, data_hash="ab12", source=batches):
        settings = {"max_steps": max_steps, "model": {"rate": rate, "sizes": (3,)}}
        with RunRecord.begin(directory, settings, data_hash, model="toy") as record:
            optimizer = adamw()
            state = run(
                make_step(loss_function, optimizer),
                create_state({"weights": jnp.zeros(3)}, optimizer),
                source,
                schedule=warmup_cosine(rate, warmup_steps=1),
                directory=record.directory,
                config=LoopConfig(max_steps=max_steps, log_every_steps=1, checkpoint_every_seconds=0.0, progress=False),
                eval_function=lambda state: {"loss": 2.0 * jnp.sum(state.ema["weights"] ** 2)},
            )
            record.finish(state)
        return record

    return train_run
