"""The loop that trains a codec of either kind, within a time or a number of steps, and goes on where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from magenta_rt_py.train import checkpoint
from magenta_rt_py.train.metrics_log import MetricsLog


@runtime_checkable
class CodecTask(Protocol):
    """What the loop asks of a codec in training.

    A state is a NamedTuple of arrays with `step` and `elapsed_seconds` among them: all that a resumed run needs.
    """

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


@runtime_checkable
class LoopSettings(Protocol):
    """What the loop reads of a training config."""

    @property
    def log_every_steps(self) -> int:
        """Steps averaged into one line."""
        ...

    @property
    def checkpoint_every_seconds(self) -> float:
        """Seconds between checkpoints."""
        ...

    @property
    def max_steps(self) -> int | None:
        """Stop here even if time is left; None: time alone decides."""
        ...


def train(
    task: CodecTask,
    settings: LoopSettings,
    *,
    seconds_budget: float,
    directory: str | Path,
    log: Callable[[str], None],
    started: str,
) -> dict[str, np.ndarray]:
    """Trains for a given time, or goes on with the training found in `directory`.

    Args:
      seconds_budget: wall-clock seconds of the whole run, earlier parts of a resumed run included.
      directory: gets checkpoint.safetensors and metrics.jsonl.
      log: called with one line every log_every_steps steps.
      started: line that says how the start was found, for the log.
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
        log(started)
        checkpoint.save_checkpoint(directory, state)
    with MetricsLog(directory, resume_step=int(state.step), tensorboard=False) as metrics_log:
        state = _run(task, settings, state, metrics_log, log, seconds_budget=seconds_budget, directory=directory)
    return task.tensors(state)


def _run(
    task: CodecTask,
    settings: LoopSettings,
    state: Any,
    metrics_log: MetricsLog,
    log: Callable[[str], None],
    *,
    seconds_budget: float,
    directory: Path,
) -> Any:
    """Steps until time or steps are spent, saving and logging on the way."""
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


def learning_rate(peak: float, *, step: int, progress: float, warmup_steps: int, final_rate: float) -> np.float32:
    """Linear warm-up by steps, then a cosine over the run's progress down to `final_rate` of the peak."""
    cosine = 0.5 * (1.0 + np.cos(np.pi * min(1.0, progress)))
    return np.float32(peak * min(1.0, (step + 1) / warmup_steps) * (final_rate + (1.0 - final_rate) * cosine))


def draw_levels(random: np.random.Generator, *, batch: int, num_levels: int) -> np.ndarray:
    """Levels that count for each crop (quantizer dropout): half of the batch uses all, the rest 1 to all, evenly."""
    use_all = random.random(batch) < 0.5
    return np.where(use_all, num_levels, random.integers(1, num_levels + 1, batch)).astype(np.int32)


def average_decay(step: Any) -> Any:
    """Decay of the average of the weights at a step: 0.99 early, because a slow average lags behind a fast start."""
    return jnp.minimum(0.998, 1.0 - 5.0 / (step + 500.0))
