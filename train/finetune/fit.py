"""The run itself: from a model and token datasets to trained weights or adapters, on any mesh."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array

from magenta_rt_py import lm
from magenta_rt_py.lm import adapters
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.tables import CodeVectors
from magenta_rt_py.train import loop
from magenta_rt_py.train.checkpoint import flatten_tree
from magenta_rt_py.train.checkpoint_steps import StepStore
from magenta_rt_py.train.data import Quantizer, TokenDataset
from magenta_rt_py.train.finetune.anchor import AnchoredBatch, Score, make_anchored_loss
from magenta_rt_py.train.finetune.config import FinetuneConfig
from magenta_rt_py.train.finetune.crops import RehearsedCrops, make_sampler
from magenta_rt_py.train.lm import LMBatch, LMEvaluation, LMTrainingConfig, make_loss, training_batch
from magenta_rt_py.train.sharded_step import FrozenLoss, compile_step, create_state, pure_step
from magenta_rt_py.train.sharding import make_mesh, place, whole_on_host


class Music(NamedTuple):
    """What a run reads.

    Attributes:
      train: pieces to train on.
      held_out: pieces for evaluation only.
      rehearsal: pieces the model knows, against forgetting; None if there are none.
      quantize: the style model's, for blends of captions; None: no blends.
    """

    train: TokenDataset
    held_out: TokenDataset
    rehearsal: TokenDataset | None = None
    quantize: Quantizer | None = None


class Fitted(NamedTuple):
    """What a run leaves.

    Attributes:
      tensors: slash path -> averaged weights, or adapters; as `lm.load` or `adapters.load` reads them.
      before, after: held-out numbers of the model it began with and of the one it ended with, see LMEvaluation.
      state: the last state.
    """

    tensors: dict[str, np.ndarray]
    before: dict[str, Any]
    after: dict[str, Any]
    state: loop.TrainState


def fit(
    config: FinetuneConfig,
    lm_config: LMConfig,
    initial: Mapping[str, Any],
    music: Music,
    code_vectors: CodeVectors | None,
    *,
    directory: str | Path,
    mesh: Mesh | None = None,
    log: Callable[[str], None] | None = None,
) -> Fitted:
    """Trains until `config.steps`; goes on where `directory` holds checkpoints of the same run.

    Args:
      config: the run.
      lm_config: the model, as its bundle has it.
      initial: slash path -> weights it begins with; with "lora" they stay as they are.
      music: token datasets.
      code_vectors: of a factorised model, see `lm.normalise_code_vectors`.
      directory: checkpoints (folder "steps"), metrics. The same for all processes of a run on several hosts.
      mesh: None makes the configuration's over all devices.
      log: called with lines of text.
    Raises:
      ValueError: the mesh does not fit the devices, or the batch the mesh.
      CheckpointError: the checkpoints are of another model.
      FloatingPointError: the loss or a weight is not finite; the last sound checkpoint is kept.
      KeyboardInterrupt, SystemExit: on Ctrl-C and SIGTERM, after a checkpoint.
    """
    if music.rehearsal is None:
        config = replace(config, anchor_weight=0.0)
    mesh = make_mesh(config.mesh) if mesh is None else mesh
    config.crops_of_a_microbatch(mesh.shape)
    model, optimizer = config.training_model(lm_config), config.make_optimizer()
    trained, frozen = starting_point(config, lm_config, initial)
    frozen = place(frozen, mesh)
    with_average = config.final_ema_decay is not None
    state = create_state(trained, optimizer, mesh, with_average=with_average)
    sampler = make_sampler(config, lm_config, music.train, music.rehearsal, music.quantize)
    evaluate = _Evaluation(config, model, music.held_out, code_vectors, frozen)
    step = pure_step(
        make_objective(config, model, code_vectors),
        optimizer,
        accumulate=config.accumulate,
        seed=config.seed,
        final_ema_decay=config.final_ema_decay,
    )

    def batches(number: int) -> LMBatch | AnchoredBatch:
        batch = training_batch(sampler(number), lm_config, config.history, seed=config.seed, step=number)
        if not (config.is_anchored and isinstance(sampler, RehearsedCrops)):
            return batch
        return AnchoredBatch(batch, sampler.rehearsed(number).astype(np.float32))

    before = evaluate(state)
    with StepStore(Path(directory) / "steps", keep=config.keep_checkpoints) as store:
        state = loop.run(
            compile_step(step, state, frozen, mesh),
            state,
            batches,
            schedule=config.make_schedule(),
            directory=own_directory(directory),
            config=_loop_config(config),
            eval_function=evaluate,
            log=log if jax.process_index() == 0 else None,
            store=store,
        )
    best = state.ema if with_average else state.params
    return Fitted(tensors=flatten_tree(whole_on_host(best)), before=before, after=evaluate(state), state=state)


def starting_point(config: FinetuneConfig, lm_config: LMConfig, initial: Mapping[str, Any]) -> tuple[Any, Any]:
    """Parameters to be trained, and the base's, which are only read: beside adapters, or as an anchor."""
    params = lm.load(initial, lm_config)
    if not config.is_lora:
        # Loaded twice: a step gives the buffers of what it trains away.
        return params, lm.load(initial, lm_config) if config.is_anchored else ()
    return adapters.init(jax.random.PRNGKey(config.seed), config.adapters, lm_config), params


def make_objective(config: FinetuneConfig, model: LMConfig, code_vectors: CodeVectors | None) -> FrozenLoss:
    """The language model's loss of (trained, frozen): of the weights, or of adapters beside frozen weights."""
    training = LMTrainingConfig(depth_frames=config.depth_frames)
    if config.is_anchored:
        return _anchored(config, model, training, code_vectors)
    loss = make_loss(model, training, code_vectors)

    def full(trained: Any, frozen: Any, batch: LMBatch, key: Array) -> tuple[Array, dict[str, Array]]:
        del frozen
        return loss(trained, batch, key)

    def lora(trained: Any, frozen: Any, batch: LMBatch, key: Array) -> tuple[Array, dict[str, Array]]:
        with adapters.attached(trained, config.adapters):
            return loss(frozen, batch, key)

    return lora if config.is_lora else full


def _anchored(
    config: FinetuneConfig, model: LMConfig, training: LMTrainingConfig, code_vectors: CodeVectors | None
) -> FrozenLoss:
    """The same with rehearsed crops held to the base's predictions; batches say which those are."""
    make = partial(
        make_anchored_loss, model, training, code_vectors, weight=config.anchor_weight, rows=config.rehearsed_rows
    )
    if not config.is_lora:
        return make()

    def beside(score: Score) -> Score:
        def scored(pair: Any, crops: LMBatch, chosen: Any) -> Any:
            trained, frozen = pair
            with adapters.attached(trained, config.adapters):
                return score(frozen, crops, chosen)

        return scored

    thin = make(attach=beside)
    return lambda trained, frozen, batch, key: thin((trained, frozen), frozen, batch, key)


def own_directory(directory: str | Path) -> Path:
    """Where this process writes its metrics: the run's directory for the first one, a folder in it for the others."""
    process = jax.process_index()
    return Path(directory) if process == 0 else Path(directory) / f"process-{process}"


class _Evaluation:
    """Held-out numbers of a state's average, or of its weights where none is kept; those of the last state are kept."""

    def __init__(
        self, config: FinetuneConfig, model: LMConfig, held_out: TokenDataset, vectors: CodeVectors | None, frozen: Any
    ) -> None:
        training = LMTrainingConfig(eval_crops=config.eval_crops)
        self._evaluate = LMEvaluation(held_out, model, training, vectors, batch_size=min(8, config.eval_crops))
        self._config, self._frozen = config, frozen
        self._merge = jax.jit(lambda params, trained: adapters.merge(params, trained, 1.0, config.adapters))
        self._step, self._numbers = -1, {}

    def __call__(self, state: loop.TrainState) -> dict[str, Any]:
        if int(state.step) != self._step:
            best = state.params if self._config.final_ema_decay is None else state.ema
            self._numbers = self._evaluate(self._merge(self._frozen, best) if self._config.is_lora else best)
            self._step = int(state.step)
        return self._numbers


def _loop_config(config: FinetuneConfig) -> loop.LoopConfig:
    return loop.LoopConfig(
        max_steps=config.steps,
        log_every_steps=config.log_every_steps,
        checkpoint_every_seconds=float("inf"),
        checkpoint_every_steps=config.checkpoint_every_steps,
        eval_every_steps=config.eval_every_steps,
        progress=jax.process_index() == 0,
    )
