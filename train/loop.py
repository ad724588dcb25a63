"""The resumable, time-budgeted training loop that every model here is trained with.

A run is a pure step function, a state, and batches that depend on nothing but their step number. Stopping a
run (Ctrl-C, SIGTERM, a full budget) writes a checkpoint; starting it again in the same directory goes on with
the very next batch, so that with a step budget an interrupted run ends in the same weights as an
uninterrupted one.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from magenta_rt_py.train.checkpoint import CheckpointStore, FileStore
from magenta_rt_py.train.hosts import largest_of_all
from magenta_rt_py.train.metrics_log import MetricsLog, flatten_metrics
from magenta_rt_py.train.optim import Schedule, warmup_cosine


class TrainState(NamedTuple):
    """Everything a run needs to go on.

    Attributes:
      params: the weights being trained.
      opt_state: the optimiser's state.
      ema: exponential moving average of the weights, the ones to export; () where a run keeps none.
      step: steps taken so far.
      elapsed_seconds: wall time spent on them, over all sessions of the run.
      extra: whatever else a model carries between steps (codebook statistics, a discriminator); () if nothing.
    """

    params: Any
    opt_state: Any
    ema: Any
    step: Int[Array, ""]
    elapsed_seconds: Float[Array, ""]
    extra: Any = ()


StepFunction = Callable[[TrainState, Any, Float[Array, ""]], tuple[TrainState, dict[str, Any]]]
"""(state, batch, learning rate) -> (state, metrics with at least "loss")."""

LossFunction = Callable[[Any, Any, Array], tuple[Array, dict[str, Array]]]
"""(params, batch, key) -> (loss, metrics)."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """When a run ends and how often it reports."""

    # Wall seconds over all sessions, compilation and evaluation included; None: no limit.
    seconds_budget: float | None = None
    # Steps over all sessions; None: no limit. One of the two limits is needed.
    max_steps: int | None = None
    # Steps averaged into one line of metrics.
    log_every_steps: int = 20
    # Wall seconds between checkpoints.
    checkpoint_every_seconds: float = 60.0
    # Steps between checkpoints, beside the above; None: by time alone.
    checkpoint_every_steps: int | None = None
    # Wall seconds between evaluations; None: only the one at the end.
    eval_every_seconds: float | None = None
    # Steps between evaluations, for runs that must be repeatable; None: only the one at the end.
    eval_every_steps: int | None = None
    # Whether to draw a progress bar (never drawn where standard error is no terminal).
    progress: bool = True

    def __post_init__(self) -> None:
        if self.seconds_budget is None and self.max_steps is None:
            raise ValueError("neither seconds_budget nor max_steps is set; a run needs an end")
        if self.seconds_budget is not None and not self.seconds_budget > 0:
            raise ValueError(f"seconds_budget is {self.seconds_budget}; it must be above 0")
        if self.max_steps is not None and self.max_steps < 1:
            raise ValueError(f"max_steps is {self.max_steps}; it must be at least 1")

    def fraction(self, step: int, elapsed_seconds: float) -> float:
        """The share of the budget spent, 0..1: by time, by steps, or the larger of both."""
        by_time = 0.0 if self.seconds_budget is None else elapsed_seconds / self.seconds_budget
        by_steps = 0.0 if self.max_steps is None else step / self.max_steps
        return min(1.0, max(by_time, by_steps))


@dataclass(frozen=True, kw_only=True)
class PacedTraining:
    """What trainers on tokens have in common: the learning rate's way, the average of the weights, and intervals."""

    # Steps until the learning rate has reached its peak.
    warmup_steps: int = 80
    # Learning rate at the end, as a share of the peak.
    final_ratio: float = 0.03
    # Decay the weight average ends with.
    final_ema_decay: float = 0.998
    # Wall seconds between evaluations.
    eval_every_seconds: float = 300.0
    # Wall seconds between checkpoints.
    checkpoint_every_seconds: float = 120.0
    # Steps averaged into one line of metrics.
    log_every_steps: int = 20

    def schedule(self, peak_learning_rate: float) -> Schedule:
        """Warm-up, then a cosine over the budget."""
        return warmup_cosine(peak_learning_rate, warmup_steps=self.warmup_steps, final_ratio=self.final_ratio)

    def loop_config(self, *, seconds_budget: float | None, max_steps: int | None) -> LoopConfig:
        """The loop's settings for a budget."""
        return LoopConfig(
            seconds_budget=seconds_budget,
            max_steps=max_steps,
            log_every_steps=self.log_every_steps,
            eval_every_seconds=self.eval_every_seconds,
            checkpoint_every_seconds=self.checkpoint_every_seconds,
        )


def create_state(
    params: Any, optimizer: optax.GradientTransformation, *, extra: Any = (), with_average: bool = True
) -> TrainState:
    """The state before the first step; the average, if one is kept, starts as a copy of the weights."""
    return TrainState(
        params=params,
        opt_state=optimizer.init(params),
        # A copy, because the step donates its state and one buffer cannot be donated twice.
        ema=jax.tree.map(jnp.array, params) if with_average else (),
        step=jnp.zeros((), jnp.int32),
        elapsed_seconds=jnp.zeros((), jnp.float32),
        extra=extra,
    )


def ema_decay(step: Int[Array, ""], final: float) -> Float[Array, ""]:
    """Decay of the weight average at `step`: step / (step + 10), at most `final`.

    A young average forgets quickly, so short runs export something useful too.
    """
    step = step.astype(jnp.float32)
    return jnp.minimum(final, step / (step + 10.0))


def apply_gradients(
    state: TrainState,
    gradients: Any,
    optimizer: optax.GradientTransformation,
    learning_rate: Float[Array, ""],
    *,
    final_ema_decay: float | None = 0.998,
) -> TrainState:
    """One optimiser step and one step of the weight average, if there is one (None: no); `extra` is left alone."""
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = jax.tree.map(lambda weight, update: weight + learning_rate * update, state.params, updates)
    ema = state.ema
    if final_ema_decay is not None:
        decay = ema_decay(state.step, final_ema_decay)
        ema = jax.tree.map(lambda mean, weight: decay * mean + (1.0 - decay) * weight, state.ema, params)
    return state._replace(params=params, opt_state=opt_state, ema=ema, step=state.step + 1)


def make_step(
    loss_function: LossFunction,
    optimizer: optax.GradientTransformation,
    *,
    seed: int = 0,
    final_ema_decay: float = 0.998,
) -> StepFunction:
    """A jitted step of plain gradient descent on one loss; donates the state it is given.

    The key passed to the loss depends on (seed, step) only, so a resumed run draws what the uninterrupted
    one would have drawn.
    """

    def step(state: TrainState, batch: Any, learning_rate: Float[Array, ""]) -> tuple[TrainState, dict[str, Any]]:
        key = jax.random.fold_in(jax.random.PRNGKey(seed), state.step)
        value_and_gradient = jax.value_and_grad(loss_function, has_aux=True)
        (loss, metrics), gradients = value_and_gradient(state.params, batch, key)
        metrics = {"loss": loss, **metrics, "gradient_norm": optax.tree.norm(gradients)}
        state = apply_gradients(state, gradients, optimizer, learning_rate, final_ema_decay=final_ema_decay)
        return state, metrics

    return jax.jit(step, donate_argnums=0)


def run(
    step_function: StepFunction,
    state: TrainState,
    batches: Callable[[int], Any],
    *,
    schedule: Schedule,
    directory: str | Path,
    config: LoopConfig,
    eval_function: Callable[[TrainState], Mapping[str, Any]] | None = None,
    log: Callable[[str], None] | None = None,
    store: CheckpointStore | None = None,
) -> TrainState:
    """Train until the budget is spent; resumes where `directory` holds a checkpoint.

    Args:
      step_function: see `make_step`; may donate its state.
      state: a fresh state, also the template a checkpoint is restored into. Do not use it afterwards.
      batches: the batch of a step, by the step's number alone.
      schedule: learning rate by step and fraction of the budget, from `train.optim`.
      directory: receives `checkpoint.safetensors`, `metrics.jsonl` and TensorBoard events.
      config: budget and intervals.
      eval_function: numbers of a state (usually of its `ema`), logged under `eval/`; also called at the end.
      log: called with one line of text at each report.
      store: where checkpoints are kept; None keeps the newest one in `directory`.

    Returns:
      The state at the end of the budget, already checkpointed.

    Raises:
      FloatingPointError: the loss or a weight is not finite; the last sound checkpoint is kept.
      KeyboardInterrupt: on Ctrl-C, after a checkpoint.
      SystemExit: on SIGTERM, after a checkpoint.
    """
    directory = Path(directory)
    store = FileStore(directory) if store is None else store
    if store.exists():
        state = store.restore(state)
        if log:
            log(f"resumed at step {int(state.step)} after {float(state.elapsed_seconds):.0f} s")
    with (
        MetricsLog(directory, resume_step=int(state.step)) as metrics_log,
        tqdm(total=1.0, bar_format=_BAR, disable=None if config.progress else True) as bar,
        _StopSignals() as signals,
    ):
        session = _Session(step_function, batches, schedule, directory, store, config, eval_function, log)
        session.begin(state, metrics_log, bar)
        while not session.finished() and not signals.agree():
            session.advance()
        if not signals.agree():
            session.evaluate()
        session.save()
    signals.raise_received(directory)
    return session.state


_BAR = "{desc}{percentage:3.0f}%|{bar}| {elapsed}{postfix}"


class _Session:
    """One uninterrupted stretch of a run."""

    def __init__(
        self,
        step_function: StepFunction,
        batches: Callable[[int], Any],
        schedule: Schedule,
        directory: Path,
        store: CheckpointStore,
        config: LoopConfig,
        eval_function: Callable[[TrainState], Mapping[str, Any]] | None,
        log: Callable[[str], None] | None,
    ) -> None:
        self._step_function, self._batches, self._schedule = step_function, batches, schedule
        self._directory, self._store, self._config = directory, store, config
        self._eval_function, self._log = eval_function, log

    def begin(self, state: TrainState, metrics_log: MetricsLog, bar: tqdm) -> None:
        self.state, self._metrics_log, self._bar = state, metrics_log, bar
        self._step = int(state.step)
        self._started = time.monotonic() - float(state.elapsed_seconds)
        self._saved_at = self._evaluated_at = self._elapsed()
        self._logged_at, self._logged_step = self._elapsed(), self._step
        self._evaluated_step = -1
        self._pending: tuple[int, float, dict[str, Any]] | None = None
        self._window: list[dict[str, float]] = []

    def finished(self) -> bool:
        return self._fraction() >= 1.0

    def advance(self) -> None:
        """Dispatch one step; read the metrics of the one before, so that the device never waits."""
        learning_rate = self._schedule(self._step, self._fraction())
        batch = self._batches(self._step)
        self.state, metrics = self._step_function(self.state, batch, jnp.float32(learning_rate))
        self._step += 1
        self._settle()
        self._pending = (self._step, learning_rate, metrics)
        self._bar.update(self._fraction() - self._bar.n)
        if self._eval_due():
            self.evaluate()
        if self._save_due():
            self.save()

    def save(self) -> None:
        """Checkpoint, after making sure that the last loss was finite."""
        self._settle()
        self.state = self.state._replace(elapsed_seconds=jnp.float32(self._elapsed()))
        self._store.save(self.state)
        self._saved_at = self._elapsed()

    def evaluate(self) -> None:
        """Log the evaluation of the present state once."""
        if self._eval_function is None or self._evaluated_step == self._step:
            return
        self._settle()
        numbers = {f"eval/{name}": value for name, value in self._eval_function(self.state).items()}
        self._report(self._step, numbers)
        self._evaluated_step, self._evaluated_at = self._step, self._elapsed()

    def _save_due(self) -> bool:
        seconds, steps = self._config.checkpoint_every_seconds, self._config.checkpoint_every_steps
        return self._elapsed() - self._saved_at >= seconds or (steps is not None and self._step % steps == 0)

    def _eval_due(self) -> bool:
        seconds, steps = self._config.eval_every_seconds, self._config.eval_every_steps
        by_time = seconds is not None and self._elapsed() - self._evaluated_at >= seconds
        return by_time or (steps is not None and self._step % steps == 0)

    def _settle(self) -> None:
        """Fetch the pending metrics, stop on a loss that is not finite, and log at the interval."""
        if self._pending is None:
            return
        step, learning_rate, metrics = self._pending
        self._pending = None
        numbers = flatten_metrics(jax.device_get(metrics))
        if not np.isfinite(numbers["loss"]):
            raise FloatingPointError(
                f"the loss of step {step} is {numbers['loss']} at learning rate {learning_rate:.2e}; the last "
                f"sound checkpoint stays in {self._directory}. Lower the learning rate and run again."
            )
        self._window.append(numbers)
        self._bar.set_postfix_str(f"step {step} loss {numbers['loss']:.3f}", refresh=False)
        if step % self._config.log_every_steps == 0:
            means = {name: float(np.mean([line[name] for line in self._window])) for name in numbers}
            pace = (self._elapsed() - self._logged_at) / max(step - self._logged_step, 1)
            self._report(step, {**means, "learning_rate": learning_rate, "milliseconds_per_step": 1e3 * pace})
            self._window.clear()
            self._logged_at, self._logged_step = self._elapsed(), step

    def _report(self, step: int, numbers: Mapping[str, Any]) -> None:
        flat = self._metrics_log.write(step, {**numbers, "elapsed_seconds": self._elapsed()})
        if self._log:
            text = " ".join(f"{name} {value:.4g}" for name, value in flat.items() if name != "elapsed_seconds")
            self._log(f"step {step} {flat['elapsed_seconds']:.0f} s {text}")

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _fraction(self) -> float:
        return self._config.fraction(self._step, self._elapsed())


class _StopSignals:
    """Turns the first SIGINT or SIGTERM into a flag, so that a step in flight is finished and saved.

    A second one acts at once. Outside the main thread nothing is caught, as Python allows no handler there.
    Processes of one run agree on it before every step: a step or a checkpoint of only some of them would never end.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> _StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def agree(self) -> bool:
        """Whether this process or any other of the run is to stop."""
        agreed = largest_of_all(self.received or 0)
        if agreed:  # or else one that comes at this very moment would be lost
            self.received = agreed
        return agreed > 0

    def raise_received(self, directory: Path) -> None:
        """End the program the way the signal would have, now that the state is safe."""
        self.agree()
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt(f"stopped; run again to go on from {directory}")
        if self.received == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
