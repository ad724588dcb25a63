"""Training the refinement model, which fills in the levels that the language model leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from magenta_rt_py import lm
from magenta_rt_py.lm import refinement
from magenta_rt_py.lm.refinement import RefinementConfig
from magenta_rt_py.lm.tables import normalise_levels
from magenta_rt_py.train import loop
from magenta_rt_py.train.data import Quantizer, TokenDataset, load_split
from magenta_rt_py.train.lm import unigram_nats
from magenta_rt_py.train.optim import adamw
from magenta_rt_py.train.runs import RunRecord
from magenta_rt_py.train.runs.data_hash import hash_files


@dataclass(frozen=True, kw_only=True)
class RefinementTrainingConfig(loop.PacedTraining):
    """How the refinement model is trained; the defaults are the starter's on two CPU cores."""

    # Frames of a crop that may be scored; the model's past comes on top.
    scored_frames: int = 50
    # Of these, frames scored a step, drawn anew each step.
    chosen_frames: int = 25
    # Fine levels scored a step, drawn anew each step; None: all.
    chosen_levels: int | None = None
    # Share of steps that also score frames whose past is cut off, as at the start of a stream.
    short_past_probability: float = 0.1
    # Share of coarse codes replaced by random ones: in a stream they come from a model that errs.
    corruption: float = 0.01
    # Weight of the squared log normaliser.
    z_loss: float = 1e-4
    # Held-out crops of an evaluation.
    eval_crops: int = 32
    eval_every_seconds: float = 120.0
    checkpoint_every_seconds: float = 60.0
    log_every_steps: int = 50


class FrameSampler:
    """Random runs of frames, all levels: `sampler(step)` depends on (seed, step) alone."""

    def __init__(self, dataset: TokenDataset, *, frames: int, batch_size: int, seed: int) -> None:
        """Prepare to draw `batch_size` runs of `frames` frames; shorter pieces are never drawn."""
        places = np.maximum(dataset.codes.counts - frames + 1, 0)
        if places.sum() == 0:
            raise ValueError(f"no piece has {frames} frames; the longest has {dataset.codes.counts.max(initial=0)}")
        self._codes, self._frames = dataset.codes, frames
        self._batch_size, self._seed = batch_size, seed
        self._places, self._cumulative = places, np.cumsum(places)

    def __call__(self, step: int) -> Int[np.ndarray, "batch frames levels"]:
        """The batch of `step`."""
        place = np.random.default_rng((self._seed, step)).integers(self._cumulative[-1], size=self._batch_size)
        pieces = np.searchsorted(self._cumulative, place, side="right")
        first = place - (self._cumulative[pieces] - self._places[pieces]) + self._codes.starts[pieces]
        return self._codes.values[first[:, None] + np.arange(self._frames)].astype(np.int32)


def code_log_likelihood(
    params: Any,
    config: RefinementConfig,
    codes: Int[Array, "batch frames levels"],
    vectors: Float[Array, "levels codes dim"],
    *,
    levels: Int[Array, " chosen_levels"],
    frames: Int[Array, " chosen"],
    heard: Int[Array, "batch frames levels"] | None = None,
) -> tuple[Float[Array, "batch chosen chosen_levels"], Float[Array, "batch chosen chosen_levels"]]:
    """Log likelihood (nats) and log normaliser of the true fine codes; `heard` is what the model is given."""
    logits = refinement.refine_logits(
        params, config, codes if heard is None else heard, vectors, levels=levels, frames=frames
    )
    normaliser = jax.nn.logsumexp(logits, axis=-1)
    true = codes[:, frames][:, :, levels]
    return jnp.take_along_axis(logits, true[..., None], axis=-1)[..., 0] - normaliser, normaliser


def make_loss(
    config: RefinementConfig, training: RefinementTrainingConfig, vectors: Float[Array, "levels codes dim"]
) -> loop.LossFunction:
    """Mean cross-entropy of the chosen levels and frames plus z-loss."""
    chosen_levels = training.chosen_levels or config.fine_levels

    def loss(params: Any, codes: Array, key: Array) -> tuple[Array, dict[str, Array]]:
        frame_key, level_key, noise_key = jax.random.split(key, 3)
        frames = _draw_frames(frame_key, config, training)
        levels = config.coarse_levels + jax.random.permutation(level_key, config.fine_levels)[:chosen_levels]
        levels = jnp.sort(levels)
        log_likelihood, normaliser = code_log_likelihood(
            params,
            config,
            codes,
            vectors,
            levels=levels,
            frames=frames,
            heard=_corrupt(noise_key, codes, config, training.corruption),
        )
        nats = -log_likelihood.mean()
        return nats + training.z_loss * (normaliser**2).mean(), {"nats_mean": nats}

    return loss


def _draw_frames(key: Array, config: RefinementConfig, training: RefinementTrainingConfig) -> Int[Array, " chosen"]:
    """Frames to score: mostly such with their whole past in the crop."""
    kind_key, short_key, full_key = jax.random.split(key, 3)
    past, count = config.past_frames, training.chosen_frames
    anywhere = jax.random.permutation(short_key, past + training.scored_frames)[:count]
    full = past + jax.random.permutation(full_key, training.scored_frames)[:count]
    short = jax.random.uniform(kind_key) < training.short_past_probability
    return jnp.where(short, anywhere, full)


def _corrupt(key: Array, codes: Array, config: RefinementConfig, share: float) -> Array:
    """The codes with a few coarse ones replaced by random ones."""
    where_key, code_key = jax.random.split(key)
    coarse = jnp.arange(codes.shape[-1]) < config.coarse_levels
    wrong = (jax.random.uniform(where_key, codes.shape) < share) & coarse
    return jnp.where(wrong, jax.random.randint(code_key, codes.shape, 0, config.codebook_size), codes)


class RefinementEvaluation:
    """Nats of every fine level on crops the model has not seen, the same ones at every call."""

    def __init__(
        self,
        dataset: TokenDataset,
        config: RefinementConfig,
        training: RefinementTrainingConfig,
        vectors: Float[Array, "levels codes dim"],
        *,
        batch_size: int = 16,
    ) -> None:
        """Draw the crops once."""
        frames = config.past_frames + training.scored_frames
        sampler = FrameSampler(dataset, frames=frames, batch_size=batch_size, seed=0)
        self._batches = [sampler(step) for step in range(max(training.eval_crops // batch_size, 1))]
        levels = jnp.arange(config.coarse_levels, config.num_levels)
        scored = jnp.arange(config.past_frames, frames, 2)
        self._nats = jax.jit(
            lambda params, codes: (
                -code_log_likelihood(params, config, codes, vectors, levels=levels, frames=scored)[0].mean((0, 1))
            )
        )

    def __call__(self, params: Any) -> dict[str, np.ndarray]:
        """`nats_i` of fine level i and `nats_mean`."""
        nats = np.mean([jax.device_get(self._nats(params, jnp.asarray(codes))) for codes in self._batches], axis=0)
        return {"nats": nats, "nats_mean": nats.mean()}


def train_refinement(
    dataset_paths: Sequence[str | Path],
    code_vectors: Float[np.ndarray, "levels codes dim"],
    config: RefinementConfig,
    *,
    directory: str | Path,
    seconds_budget: float | None = None,
    max_steps: int | None = None,
    held_out_paths: Sequence[str | Path] = (),
    quantize: Quantizer | None = None,
    seed: int = 0,
    batch_size: int = 16,
    peak_learning_rate: float = 1.5e-3,
    training: RefinementTrainingConfig = RefinementTrainingConfig(),
    log: Callable[[str], None] | None = None,
) -> dict[str, np.ndarray]:
    """Train (or resume) a refinement model on token shards.

    Args:
      dataset_paths: token shards with all levels, see `train.data`.
      code_vectors: the codec's frozen code vectors, not yet normalised.
      config: sizes of the model.
      directory: checkpoint and metrics; an interrupted run in it is resumed.
      seconds_budget: wall seconds over all sessions; give this or `max_steps`.
      max_steps: steps over all sessions.
      held_out_paths: shards for evaluation only; without them 5 % of the pieces are set aside.
      quantize: the style model's `quantize`, only for shards without style codes.
      seed: fixes weights, batches and draws.
      batch_size: crops a step.
      peak_learning_rate: AdamW's largest.
      training: everything else about the run.
      log: called with lines of text.

    Returns:
      Slash path -> averaged weights.
    """
    dataset, held_out = load_split(dataset_paths, held_out_paths, quantize=quantize)
    vectors = jnp.asarray(normalise_levels(code_vectors, config.num_levels))
    frames = config.past_frames + training.scored_frames
    sampler = FrameSampler(dataset, frames=frames, batch_size=batch_size, seed=seed)
    counts = dataset.code_counts(config.num_levels, config.codebook_size).astype(np.float32)
    params = refinement.with_unigram(refinement.init(jax.random.PRNGKey(seed), config), counts)
    if log:
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        unigram = unigram_nats(dataset, held_out, config.num_levels, config.codebook_size)[config.coarse_levels :]
        log(f"{size / 1e6:.2f} M weights, unigram nats {' '.join(f'{value:.3f}' for value in unigram)}")
    optimizer = adamw()
    evaluation = RefinementEvaluation(held_out, config, training, vectors, batch_size=batch_size)
    settings = {
        "model": config, "training": training, "seed": seed, "batch_size": batch_size,
        "peak_learning_rate": peak_learning_rate, "seconds_budget": seconds_budget, "max_steps": max_steps,
    }  # fmt: skip
    with RunRecord.begin(directory, settings, hash_files([*dataset_paths, *held_out_paths]), model="refinement") as record:
        state = loop.run(
            loop.make_step(
                make_loss(config, training, vectors), optimizer, seed=seed, final_ema_decay=training.final_ema_decay
            ),
            loop.create_state(params, optimizer),
            sampler,
            schedule=training.schedule(peak_learning_rate),
            directory=directory,
            config=training.loop_config(seconds_budget=seconds_budget, max_steps=max_steps),
            eval_function=lambda state: evaluation(state.ema),
            log=log,
        )
        record.finish(state)
    return {name: np.asarray(value) for name, value in lm.flatten(state.ema).items()}
