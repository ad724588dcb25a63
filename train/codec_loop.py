"""What all codec trainings share: the loop, which goes on where it was stopped, and what is done in every step."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float32, Int32

from magenta_rt_py.nn import quantizer
from magenta_rt_py.train import checkpoint, optim
from magenta_rt_py.train.metrics_log import MetricsLog


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecRunConfig:
    """What every codec training is told; each says by its defaults what suits it."""

    batch: int = 8  # crops a step
    crop_frames: int = 40  # 1.6 s
    learning_rate: float = 1e-3  # peak, after the warm-up
    final_rate: float = 0.03  # of the peak, at the end of the cosine
    warmup_steps: int = 100
    gain_db: tuple[float, float] = (-6.0, 3.0)  # random loudness of a crop
    full_share: float = 0.5  # of the crops that use all levels
    coarse_share: float = 0.25  # of the crops that use as many as the starter's language model makes
    coarse_levels: int = 4  # that many; the crops left use 1 to all, evenly
    commitment_weight: float = 1.0
    restart_every_steps: int = 50  # dead codes are replaced this rarely
    log_every_steps: int = 50  # steps averaged into one line
    checkpoint_every_seconds: float = 60.0
    max_steps: int | None = None  # stop here even if time is left, and anneal towards it; None: time alone decides


class StepPlan(NamedTuple):
    """What is drawn for one step, whatever is trained."""

    gain_db: Float32[np.ndarray, "batch"]  # loudness of each crop
    active_levels: Int32[np.ndarray, "batch"]  # quantizer levels that count for each crop
    learning_rate: np.float32
    restart_dead: np.bool_  # whether dead codes are replaced


@runtime_checkable
class CodecTask(Protocol):
    """What the loop asks of a codec in training.

    A state is a NamedTuple of arrays with `step` and `elapsed_seconds` among them: all that a resumed run needs.
    """

    @property
    def training(self) -> CodecRunConfig:
        """How it is trained."""
        ...

    @property
    def started(self) -> str:
        """Line that says how the start was found, for the log."""
        ...

    def start(self) -> Any:
        """The state before the first step."""
        ...

    def blank(self) -> Any:
        """A state of the same shapes holding anything: the template of a checkpoint."""
        ...

    def draw(self, step: int, progress: float) -> Any:
        """The batch of a step: a function of the step, and of the part of the run done, 0..1, for the learning rate."""
        ...

    def step(self, state: Any, batch: Any) -> tuple[Any, dict[str, Any]]:
        """One step of gradients and codebooks: the new state, and numbers to log. The old state may be used up."""
        ...

    def tensors(self, state: Any) -> dict[str, np.ndarray]:
        """The codec that a state holds, as its from_tensors reads it."""
        ...


def train(
    task: CodecTask, *, seconds_budget: float, directory: str | Path, log: Callable[[str], None]
) -> dict[str, np.ndarray]:
    """Trains for a given time, or goes on with the training found in `directory`.

    Args:
      seconds_budget: wall-clock seconds of the whole run, earlier parts of a resumed run included; the learning rate
        follows its fraction. Finding the start is not counted.
      directory: gets checkpoint.safetensors and metrics.jsonl.
      log: called with one line every log_every_steps steps.
    Returns:
      flat tensors of the codec, from the averaged weights.
    Raises:
      CheckpointError: if the checkpoint in `directory` belongs to another config.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists(directory):
        state = checkpoint.restore_checkpoint(directory, task.blank())
        log(f"codec training goes on at step {int(state.step)}, {float(state.elapsed_seconds):.0f} s")
    else:
        state = task.start()
        log(task.started)
        checkpoint.save_checkpoint(directory, state)
    with MetricsLog(directory, resume_step=int(state.step), tensorboard=False) as metrics_log:
        state = _run(task, state, metrics_log, log, seconds_budget=seconds_budget, directory=directory)
    return task.tensors(state)


def _run(
    task: CodecTask,
    state: Any,
    metrics_log: MetricsLog,
    log: Callable[[str], None],
    *,
    seconds_budget: float,
    directory: Path,
) -> Any:
    """Steps until time or steps are spent, saving and logging on the way."""
    settings = task.training
    count, before = int(state.step), float(state.elapsed_seconds)
    began = saved = time.monotonic()
    elapsed, metrics = before, []

    def progress() -> float:
        return max(elapsed / seconds_budget, count / settings.max_steps if settings.max_steps else 0.0)

    while progress() < 1.0:
        state, step_metrics = task.step(state, task.draw(count, progress()))
        jax.block_until_ready(step_metrics)
        metrics.append(step_metrics)
        count += 1
        elapsed = before + time.monotonic() - began
        if len(metrics) == settings.log_every_steps:
            _record(metrics_log, log, count, elapsed, metrics)
            metrics = []
        if time.monotonic() - saved > settings.checkpoint_every_seconds or progress() >= 1.0:
            state = state._replace(elapsed_seconds=jnp.asarray(elapsed, jnp.float32))
            checkpoint.save_checkpoint(directory, state)
            saved = time.monotonic()
    return state


def _record(metrics_log: MetricsLog, log: Callable[[str], None], step: int, elapsed: float, metrics: list[dict]) -> None:
    means = {name: float(np.mean([np.asarray(m[name]) for m in metrics])) for name in metrics[0]}
    metrics_log.write(step, {"elapsed_seconds": elapsed, **means})
    log(f"codec step {step}  {elapsed:.0f} s  " + "  ".join(f"{name} {value:.4g}" for name, value in means.items()))


def plan_step(
    training: CodecRunConfig, random: np.random.Generator, *, step: int, progress: float, num_levels: int
) -> StepPlan:
    """Draws what every step needs.

    Loudness is even in decibels. Each crop uses all levels, the coarse ones or 1 to all (quantizer dropout). The learning
    rate warms up by steps, then follows a cosine over the run's progress.
    """
    gain_db = random.uniform(*training.gain_db, training.batch)
    kind = random.random(training.batch)
    levels = random.integers(1, num_levels + 1, training.batch)
    levels = np.where(kind < training.full_share + training.coarse_share, min(training.coarse_levels, num_levels), levels)
    levels = np.where(kind < training.full_share, num_levels, levels)
    cosine = 0.5 * (1.0 + np.cos(np.pi * min(1.0, progress)))
    rise = min(1.0, (step + 1) / training.warmup_steps)
    rate = training.learning_rate * rise * (training.final_rate + (1.0 - training.final_rate) * cosine)
    return StepPlan(
        gain_db=gain_db.astype(np.float32),
        active_levels=levels.astype(np.int32),
        learning_rate=np.float32(rate),
        restart_dead=np.bool_(step % training.restart_every_steps == training.restart_every_steps - 1),
    )


def adam(multipliers: Sequence[tuple[str, float]] = ()) -> optax.GradientTransformation:
    """The optimizer of every codec and of its discriminators; `multipliers` as optim.adamw takes them."""
    settings = optim.AdamWConfig(b1=0.9, b2=0.98, weight_decay=0.0, clip_norm=1.0)
    return optim.adamw(settings, multipliers=multipliers)


def descend(
    state: Any, grads: dict, optimizer: optax.GradientTransformation, learning_rate: Array
) -> tuple[Any, dict[str, Array]]:
    """One step of the optimizer on `state.params`, and of their moving average: the new state, and numbers to log."""
    updates, optimizer_state = optimizer.update(grads, state.optimizer, state.params)
    params = jax.tree.map(lambda p, u: p + learning_rate * u, state.params, updates)
    keep = average_decay(state.step)
    averaged = jax.tree.map(lambda a, p: keep * a + (1.0 - keep) * p, state.averaged, params)
    norm = jnp.sqrt(sum(((g**2).sum() for g in jax.tree.leaves(grads)), jnp.zeros(())))
    state = state._replace(params=params, averaged=averaged, optimizer=optimizer_state, step=state.step + 1)
    return state, {"gradient_norm": norm}


def follow_latents(state: Any, quantization: quantizer.Quantization, restart_dead: Array) -> tuple[Any, dict[str, Array]]:
    """Moves `state.codebooks` after the latents of a step; before `descend`, which counts it."""
    key = jax.random.fold_in(jax.random.key(0), state.step)
    codebooks, restarted = quantizer.update_codebooks(
        state.codebooks, quantization.codes, quantization.residuals, key=key, restart_dead=restart_dead
    )
    return state._replace(codebooks=codebooks), {"restarted_codes": restarted}


def average_decay(step: Any) -> Any:
    """Decay of the average of the weights at a step: 0.99 early, because a slow average lags behind a fast start."""
    return jnp.minimum(0.998, 1.0 - 5.0 / (step + 500.0))
