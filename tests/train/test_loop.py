"""The training loop: exact resume, budgets, loud stops, sound checkpoints."""

import os
import signal
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.train import checkpoint, loop
from magenta_rt_py.train.loop import LoopConfig, create_state, ema_decay, make_step, run
from magenta_rt_py.train.metrics_log import read_metrics
from magenta_rt_py.train.optim import adamw, warmup_cosine

SCHEDULE = warmup_cosine(0.05, warmup_steps=2)


def batches(step):
    return np.random.default_rng((7, step)).standard_normal((8, 3)).astype(np.float32)


def loss_function(params, batch, key):
    noise = 0.01 * jax.random.normal(key, (8,))
    error = batch @ params["weights"] + params["bias"] - batch.sum(-1) + noise
    return (error**2).mean(), {"largest": jnp.abs(error).max()}


def fresh():
    optimizer = adamw()
    state = create_state({"weights": jnp.zeros(3), "bias": jnp.zeros(())}, optimizer)
    return make_step(loss_function, optimizer, seed=3), state


def train(directory, max_steps=None, *, step_function=None, source=batches, **settings):
    step, state = fresh()
    config = LoopConfig(max_steps=max_steps, log_every_steps=1, progress=False, **settings)
    return run(step_function or step, state, source, schedule=SCHEDULE, directory=directory, config=config)


def losses(directory):
    return [line["loss"] for line in read_metrics(directory) if "loss" in line]


class Killed(Exception):
    pass


def test_a_killed_run_resumes_with_exactly_the_losses_of_an_uninterrupted_one(tmp_path):
    whole = train(tmp_path / "whole", 30)

    def source(step):
        if step == 17:
            raise Killed
        return batches(step)

    with pytest.raises(Killed):
        train(tmp_path / "parts", 30, source=source, checkpoint_every_seconds=0.0)
    resumed = train(tmp_path / "parts", 30)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    for ours, theirs in zip(jax.tree.leaves(resumed.ema), jax.tree.leaves(whole.ema), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(resumed.step) == 30


def test_metrics_beyond_the_checkpoint_are_dropped_on_resume(tmp_path):
    def source(step):
        if step == 9:
            raise Killed
        return batches(step)

    train(tmp_path, 4)
    with pytest.raises(Killed):
        train(tmp_path, 20, source=source, checkpoint_every_seconds=1e9)
    train(tmp_path, 20)
    assert [line["step"] for line in read_metrics(tmp_path)] == list(range(1, 21))


def test_training_lowers_the_loss_and_anneals(tmp_path):
    train(tmp_path, 200)
    lines = read_metrics(tmp_path)
    assert np.mean(losses(tmp_path)[-20:]) < 0.1 * np.mean(losses(tmp_path)[:5])
    rates = [line["learning_rate"] for line in lines]
    assert rates[1] == max(rates) and rates[-1] < 0.05 * rates[1]


def test_a_time_budget_ends_the_run_and_drives_the_schedule(tmp_path, monkeypatch):
    now, step_seconds = [100.0], 0.0625
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def source(step):
        now[0] += step_seconds
        return batches(step)

    state = train(tmp_path, seconds_budget=1.5, source=source)
    assert int(state.step) == 24 and float(state.elapsed_seconds) == 1.5
    rates = [line["learning_rate"] for line in read_metrics(tmp_path) if "learning_rate" in line]
    assert rates == pytest.approx([SCHEDULE(step, step / 24) for step in range(24)])
    # The budget is over all sessions: nothing is left to train.
    assert int(train(tmp_path, seconds_budget=1.5).step) == 24


def test_nan_stops_loudly_and_keeps_the_sound_checkpoint(tmp_path):
    train(tmp_path, 3)

    def source(step):
        return batches(step) * (np.nan if step == 5 else 1.0)

    with pytest.raises(FloatingPointError, match="step 6"):
        train(tmp_path, 20, source=source, checkpoint_every_seconds=0.0)
    _, template = fresh()
    kept = checkpoint.restore_checkpoint(tmp_path, template)
    assert int(kept.step) <= 5 and np.isfinite(kept.params["weights"]).all()


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_signals_save_and_end_the_program(tmp_path, number, raised):
    before = signal.getsignal(number)

    def source(step):
        if step == 5:
            os.kill(os.getpid(), number)
        return batches(step)

    with pytest.raises(raised):
        train(tmp_path, 50, source=source)
    _, template = fresh()
    assert int(checkpoint.restore_checkpoint(tmp_path, template).step) == 6
    assert signal.getsignal(number) is before
    assert losses(tmp_path) == losses(tmp_path)[:6]


def test_evaluation_runs_at_its_interval_and_at_the_end(tmp_path):
    step, state = fresh()
    config = LoopConfig(max_steps=10, eval_every_steps=4, log_every_steps=100, progress=False)
    run(
        step,
        state,
        batches,
        schedule=SCHEDULE,
        directory=tmp_path,
        config=config,
        eval_function=lambda state: {"bias": state.ema["bias"]},
    )
    lines = [line for line in read_metrics(tmp_path) if "eval/bias" in line]
    assert [line["step"] for line in lines] == [4, 8, 10]


def test_the_weight_average_forgets_quickly_at_first():
    decays = [float(ema_decay(jnp.asarray(step), 0.998)) for step in (0, 10, 990, 100_000)]
    assert decays == pytest.approx([0.0, 0.5, 0.99, 0.998])


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    train(tmp_path, 2)
    other = create_state({"weights": jnp.zeros(4), "bias": jnp.zeros(())}, adamw())
    with pytest.raises(CheckpointError, match="another configuration"):
        checkpoint.restore_checkpoint(tmp_path, other)


def test_a_truncated_checkpoint_is_refused(tmp_path):
    train(tmp_path, 2)
    path = tmp_path / checkpoint.CHECKPOINT_FILE
    path.write_bytes(path.read_bytes()[:-8])
    _, template = fresh()
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.restore_checkpoint(tmp_path, template)


def test_a_run_without_an_end_is_refused():
    with pytest.raises(ValueError, match="needs an end"):
        LoopConfig()


def test_saving_leaves_no_temporary_file(tmp_path):
    train(tmp_path, 2)
    assert not list(tmp_path.glob("*.tmp"))
