"""Training the language model: loss, held-out evaluation, and the run from token shards to weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from magenta_rt_py import lm
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.tables import CodeVectors, normalise_code_vectors
from magenta_rt_py.lm.vocabulary import AnyArray, codes_to_tokens, encoder_inputs
from magenta_rt_py.train import loop
from magenta_rt_py.train.data import (
    CropConfig,
    Crops,
    CropSampler,
    Quantizer,
    TokenDataset,
    audio_style_codes,
    captions_of_sections,
    cut_crops,
    hide_past,
    load_split,
    target_sections,
)
from magenta_rt_py.train.history import HistoryConfig, spoil_history
from magenta_rt_py.train.optim import muon
from magenta_rt_py.train.runs import RunRecord
from magenta_rt_py.train.runs.data_hash import hash_files


@dataclass(frozen=True, kw_only=True)
class LMTrainingConfig(loop.PacedTraining):
    """How the language model is trained; the defaults are the starter's on two CPU cores."""

    # Loss weights of the first levels (further levels 1), brought to mean 1: coarse codes matter most.
    level_weights: tuple[float, ...] = (1.5, 1.25, 1.0, 1.0)
    # Weight of the squared log normaliser, which keeps logits from drifting (the released training's).
    z_loss: float = 1e-4
    # Target frames scored by the depth stack a step, drawn anew each step; None: all.
    depth_frames: int | None = None
    # How the model's own recent past is spoilt in training; None: never.
    history: HistoryConfig | None = None
    # Held-out crops of an evaluation.
    eval_crops: int = 32
    # Beats by which the clock is shifted to see whether it is read: on no subdivision.
    clock_shift_beats: float = 0.37


class LMBatch(NamedTuple):
    """Crops as the model reads them.

    Attributes:
      encoder_tokens: context and style ids.
      target_tokens: ids of the frames to predict.
      target_codes: the same as codes, the labels.
      context_clock: clock rows of the context.
      target_clock: clock rows of the target.
      history_tokens: ids that the temporal stack hears in place of the target's own; the same, or spoilt.
    """

    encoder_tokens: Int[AnyArray, "batch tokens"]
    target_tokens: Int[AnyArray, "batch frames levels"]
    target_codes: Int[AnyArray, "batch frames levels"]
    context_clock: Float[AnyArray, "batch context clock"]
    target_clock: Float[AnyArray, "batch frames clock"]
    history_tokens: Int[AnyArray, "batch frames levels"]


def make_batch(crops: Crops, config: LMConfig) -> LMBatch:
    """Codes to the vocabulary's ids; the history is the truth."""
    target_tokens = codes_to_tokens(crops.target_codes, config)
    return LMBatch(
        encoder_tokens=encoder_inputs(crops.context_codes, crops.style_codes, config),
        target_tokens=target_tokens,
        target_codes=crops.target_codes,
        context_clock=crops.context_clock,
        target_clock=crops.target_clock,
        history_tokens=target_tokens,
    )


def training_batch(
    crops: Crops, config: LMConfig, history: HistoryConfig | None, *, seed: int, step: int
) -> LMBatch:
    """`make_batch`, with the history spoilt if asked for; a function of seed and step."""
    batch = make_batch(crops, config)
    if history is None:
        return batch
    random = np.random.default_rng((seed, step, 1))
    return batch._replace(history_tokens=spoil_history(batch.target_tokens, history, random))


def crop_config(config: LMConfig) -> CropConfig:
    """Crops of the sizes a model expects, with the usual augmentations."""
    return CropConfig(
        context_frames=config.context_frames,
        target_frames=config.chunk_frames,
        context_levels=config.context_levels,
        target_levels=config.num_levels,
        style_levels=config.style_levels,
        codebook_size=config.codebook_size,
    )


def code_log_likelihood(
    params: Any,
    config: LMConfig,
    batch: LMBatch,
    code_vectors: CodeVectors | None,
    depth_frames: Int[Array, " chosen"] | None = None,
) -> tuple[Float[Array, "batch chosen levels"], Float[Array, "batch chosen levels"]]:
    """Log likelihood (nats) and log normaliser of the true codes on the chosen frames."""
    logits = code_logits(params, config, batch, code_vectors, depth_frames)
    return likelihood_of_logits(logits, batch, depth_frames)


def code_logits(
    params: Any,
    config: LMConfig,
    batch: LMBatch,
    code_vectors: CodeVectors | None,
    depth_frames: Int[Array, " chosen"] | None = None,
) -> Float[Array, "batch chosen levels codes"]:
    """Scores of every code on the chosen frames; None: on all."""
    batch = jax.tree.map(jnp.asarray, batch)
    return lm.forward(
        params,
        config,
        batch.encoder_tokens,
        batch.target_tokens,
        code_vectors=code_vectors,
        context_clock=batch.context_clock if config.clock else None,
        target_clock=batch.target_clock if config.clock else None,
        depth_frames=depth_frames,
        history_tokens=batch.history_tokens,
    )


def likelihood_of_logits(
    logits: Float[Array, "batch chosen levels codes"], batch: LMBatch, depth_frames: Int[Array, " chosen"] | None = None
) -> tuple[Float[Array, "batch chosen levels"], Float[Array, "batch chosen levels"]]:
    """Log likelihood (nats) and log normaliser of the true codes, from their scores."""
    batch = jax.tree.map(jnp.asarray, batch)
    codes = batch.target_codes if depth_frames is None else batch.target_codes[:, depth_frames]
    normaliser = jax.nn.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, codes[..., None], axis=-1)[..., 0]
    return chosen - normaliser, normaliser


def make_loss(config: LMConfig, training: LMTrainingConfig, code_vectors: CodeVectors | None) -> loop.LossFunction:
    """Level-weighted cross-entropy plus z-loss; metrics hold unweighted nats per level.

    Source: Live Music Models, section 3 (cross-entropy, z-loss 1e-4); level weights and scoring a part of
    the frames are ours.
    """
    weights = normalised_level_weights(training.level_weights, config.num_levels)

    def loss(params: Any, batch: LMBatch, key: Array) -> tuple[Array, dict[str, Array]]:
        depth_frames = draw_depth_frames(training, batch, key)
        log_likelihood, normaliser = code_log_likelihood(params, config, batch, code_vectors, depth_frames)
        nats = -log_likelihood.mean((0, 1))
        z_loss = training.z_loss * (normaliser**2).mean()
        return (weights * nats).mean() + z_loss, {"nats": nats, "nats_mean": nats.mean()}

    return loss


def draw_depth_frames(training: LMTrainingConfig, batch: LMBatch, key: Array) -> Int[Array, " chosen"] | None:
    """The target frames that are scored in a step; None: all."""
    frames = batch.target_tokens.shape[1]
    if training.depth_frames is None or training.depth_frames >= frames:
        return None
    return jnp.sort(jax.random.permutation(key, frames)[: training.depth_frames])


def normalised_level_weights(weights: Sequence[float], levels: int) -> Float[np.ndarray, " levels"]:
    """Weights of the first levels, 1 for the rest, scaled to mean 1."""
    full = np.ones(levels, np.float32)
    given = np.asarray(weights[:levels], np.float32)
    full[: len(given)] = given
    return full / full.mean()


class LMEvaluation:
    """What a model has learned, on crops it has not seen.

    All numbers are nats a code, lower is better; each `cost` says how much worse the prediction gets when one
    input is spoilt, so a cost of 0 means that the input is not read:
    `nats_q` by level and `nats_mean` with everything given, `cold_nats_mean` without any past,
    `wrong_style_cost` and `cold_wrong_style_cost` (the style of a piece of another genre),
    `shifted_clock_cost` and `caption_cost` (style from a caption instead of the target's audio). Where held-out pieces
    move from one style to another: `change_nats_mean` just after the change, `change_old_style_cost` with the style of
    before it.
    """

    def __init__(
        self,
        dataset: TokenDataset,
        config: LMConfig,
        training: LMTrainingConfig,
        code_vectors: CodeVectors | None,
        *,
        batch_size: int = 8,
    ) -> None:
        """Cut the crops once; they are the same at every call."""
        self._batch_size = batch_size
        self._batches = {
            name: make_batch(crops, config) for name, crops in _spoilt_crops(dataset, config, training, batch_size).items()
        }
        self._nats = jax.jit(lambda params, batch: -code_log_likelihood(params, config, batch, code_vectors)[0].mean((0, 1)))

    def __call__(self, params: Any) -> dict[str, np.ndarray | np.floating]:
        """The numbers of the class's docstring for these parameters."""
        nats = {name: self._mean_nats(params, batch) for name, batch in self._batches.items()}
        true, cold = nats["true"], nats["cold"]
        change = {}
        if "change" in nats:
            change = {
                "change_nats_mean": nats["change"].mean(),
                "change_old_style_cost": (nats["change_old_style"] - nats["change"]).mean(),
            }
        return change | {
            "nats": true,
            "nats_mean": true.mean(),
            "cold_nats_mean": cold.mean(),
            "hidden_past_cost": (cold - true).mean(),
            "wrong_style_cost": (nats["wrong_style"] - true).mean(),
            "cold_wrong_style_cost": (nats["cold_wrong_style"] - cold).mean(),
            "caption_cost": (nats["caption"] - true).mean(),
            "shifted_clock_cost": (nats["shifted_clock"] - true).mean(),
        }

    def _mean_nats(self, params: Any, batch: LMBatch) -> Float[np.ndarray, " levels"]:
        size = self._batch_size
        starts = range(0, len(batch.target_codes), size)
        parts = [LMBatch(*(array[start : start + size] for array in batch)) for start in starts]
        return np.mean([jax.device_get(self._nats(params, part)) for part in parts], axis=0)


def _spoilt_crops(dataset: TokenDataset, config: LMConfig, training: LMTrainingConfig, size: int) -> dict[str, Crops]:
    """The held-out crops, true and with one input spoilt at a time; whole batches of them."""
    sizes = crop_config(config).plain()
    count = max(training.eval_crops // size, 1) * size
    # Long enough pieces are asked where their context is full.
    usable = np.flatnonzero(dataset.codes.counts >= sizes.target_frames)
    if not len(usable):
        raise ValueError(f"no held-out piece has the {sizes.target_frames} frames of a target")
    pieces = usable[np.linspace(0, len(usable) - 1, count).round().astype(np.int64)]
    last = dataset.codes.counts[pieces] - sizes.target_frames
    first = np.minimum(sizes.context_frames, last)
    # Golden-ratio steps spread the targets over the pieces without a random number.
    place = np.mod(np.arange(count) * 0.618034, 1.0)
    starts = first + np.floor(place * (last - first + 1)).astype(np.int64)

    def style_of(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
        codes = audio_style_codes(dataset, sizes, rows, at)
        return codes[:, : sizes.style_levels].astype(np.int32)

    def cut(style: np.ndarray, shift: float = 0.0) -> Crops:
        return cut_crops(dataset, sizes, pieces, starts, style, clock_shift_beats=shift)

    other = _pieces_of_other_genre(dataset, pieces)
    limit = np.maximum(dataset.codes.counts[other] - sizes.target_frames, 0)
    true, wrong = style_of(pieces, starts), style_of(other, np.minimum(starts, limit))
    heard = target_sections(dataset, sizes.target_frames, pieces, starts).main
    first_caption = captions_of_sections(dataset, pieces, heard).argmax(axis=1)
    caption = dataset.text_codes.take(pieces, first_caption)[:, : sizes.style_levels].astype(np.int32)
    whole = np.full(count, sizes.context_frames)
    spoilt = {
        "true": cut(true),
        "wrong_style": cut(wrong),
        "caption": cut(caption),
        "shifted_clock": cut(true, training.clock_shift_beats),
        "cold": hide_past(cut(true), whole),
        "cold_wrong_style": hide_past(cut(wrong), whole),
    }
    return spoilt | _crops_at_changes(dataset, sizes, size)


def _crops_at_changes(dataset: TokenDataset, sizes: CropConfig, count: int) -> dict[str, Crops]:
    """Targets that begin where a piece moves to its second section: in the new style, and still in the old one."""
    room = dataset.codes.counts >= sizes.target_frames
    changing = np.flatnonzero((dataset.sections.counts > 1) & room)
    if not len(changing):
        return {}
    pieces = np.resize(changing, count)
    change = dataset.sections.take(pieces, np.ones(count, np.int64))
    change = np.minimum(change, dataset.codes.counts[pieces] - sizes.target_frames)
    before = np.maximum(change - sizes.target_frames, 0)

    def cut(style_at: np.ndarray) -> Crops:
        style = audio_style_codes(dataset, sizes, pieces, style_at)[:, : sizes.style_levels].astype(np.int32)
        return cut_crops(dataset, sizes, pieces, change, style)

    return {"change": cut(change), "change_old_style": cut(before)}


def _pieces_of_other_genre(dataset: TokenDataset, pieces: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """For each piece the next one (cyclically) of another genre; any next one where there is one genre only."""
    others = []
    for piece in pieces:
        order = (piece + 1 + np.arange(dataset.pieces)) % dataset.pieces
        different = order[dataset.genre[order] != dataset.genre[piece]]
        others.append(different[0] if len(different) else order[0])
    return np.asarray(others, np.int64)


def train_lm(
    dataset_paths: Sequence[str | Path],
    code_vectors: Float[np.ndarray, "levels codes dim"],
    style_code_vectors: Float[np.ndarray, "style_levels codes style_dim"],
    config: LMConfig,
    *,
    directory: str | Path,
    seconds_budget: float | None = None,
    max_steps: int | None = None,
    held_out_paths: Sequence[str | Path] = (),
    quantize: Quantizer | None = None,
    seed: int = 0,
    batch_size: int = 8,
    peak_learning_rate: float = 1.5e-3,
    training: LMTrainingConfig = LMTrainingConfig(),
    crops: CropConfig | None = None,
    genre_weights: Mapping[int, int] | None = None,
    initial: Mapping[str, np.ndarray] | None = None,
    log: Callable[[str], None] | None = None,
) -> dict[str, np.ndarray]:
    """Train (or finetune, or resume) a language model on token shards.

    Args:
      dataset_paths: token shards, see `train.data`.
      code_vectors: the codec's frozen code vectors.
      style_code_vectors: the style quantiser's.
      config: sizes of the model.
      directory: checkpoint and metrics; an interrupted run in it is resumed.
      seconds_budget: wall seconds over all sessions; give this or `max_steps`.
      max_steps: steps over all sessions.
      held_out_paths: shards for evaluation only; without them 5 % of the pieces are set aside.
      quantize: the style model's `quantize`, for blends of captions and for shards without style codes.
      seed: fixes weights, batches and draws.
      batch_size: crops of 10 s context and 2 s target a step.
      peak_learning_rate: Muon's largest (see `optim.muon`); 1e-4 for finetuning.
      training: everything else about the run.
      crops: augmentations; by default those of `CropConfig` with the model's sizes.
      genre_weights: how many times as often as others the pieces of some genres (labels of the shards) are drawn.
      initial: flat weights to start from (finetuning); None starts afresh from the data's unigram.
      log: called with lines of text.

    Returns:
      Slash path -> averaged weights, as `lm.load` reads and a bundle stores.
    """
    dataset, held_out = load_split(dataset_paths, held_out_paths, quantize=quantize)
    vectors = normalise_code_vectors(code_vectors, style_code_vectors, config) if config.factorised else None
    crops = crops or crop_config(config)
    sampler = CropSampler(
        dataset, crops, batch_size=batch_size, seed=seed, quantize=quantize, genre_weights=genre_weights
    )
    optimizer = muon()
    state = loop.create_state(initial_params(config, dataset, seed=seed, initial=initial), optimizer)
    if log:
        _announce(log, state.params, dataset, held_out, config)
    evaluation = LMEvaluation(held_out, config, training, vectors, batch_size=batch_size)
    settings = {
        "model": config, "training": training, "crops": crops, "genre_weights": dict(genre_weights or {}),
        "seed": seed, "batch_size": batch_size, "peak_learning_rate": peak_learning_rate,
        "seconds_budget": seconds_budget, "max_steps": max_steps,
    }  # fmt: skip
    with RunRecord.begin(directory, settings, hash_files([*dataset_paths, *held_out_paths]), model="lm") as record:
        state = loop.run(
            loop.make_step(
                make_loss(config, training, vectors), optimizer, seed=seed, final_ema_decay=training.final_ema_decay
            ),
            state,
            lambda step: training_batch(sampler(step), config, training.history, seed=seed, step=step),
            schedule=training.schedule(peak_learning_rate),
            directory=directory,
            config=training.loop_config(seconds_budget=seconds_budget, max_steps=max_steps),
            eval_function=lambda state: evaluation(state.ema),
            log=log,
        )
        record.finish(state)
    return {name: np.asarray(value) for name, value in lm.flatten(state.ema).items()}


def initial_params(
    config: LMConfig,
    dataset: TokenDataset,
    *,
    seed: int = 0,
    initial: Mapping[str, np.ndarray] | None = None,
) -> Any:
    """Given weights, or fresh ones whose head starts at the data's code frequencies."""
    if initial is not None:
        return lm.load(initial, config)
    params = lm.init(jax.random.PRNGKey(seed), config)
    if not config.factorised:
        return params
    counts = dataset.code_counts(config.num_levels, config.codebook_size)
    return lm.with_unigram(params, counts.astype(np.float32))


def unigram_nats(
    train: TokenDataset, held_out: TokenDataset, levels: int, codebook_size: int = 1024
) -> Float[np.ndarray, " levels"]:
    """Nats per level of guessing by frequency alone: what any model has to beat."""
    counts = train.code_counts(levels, codebook_size) + 0.5
    log_share = np.log(counts / counts.sum(1, keepdims=True))
    seen = held_out.code_counts(levels, codebook_size)
    return -(log_share * seen).sum(1) / seen.sum(1)


def _announce(
    log: Callable[[str], None],
    params: Any,
    dataset: TokenDataset,
    held_out: TokenDataset,
    config: LMConfig,
) -> None:
    size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    unigram = unigram_nats(dataset, held_out, config.num_levels, config.codebook_size)
    hours = dataset.codes.counts.sum() / 90_000
    log(
        f"{size / 1e6:.2f} M weights, {dataset.pieces} pieces ({hours:.2f} h), {held_out.pieces} held out, "
        f"unigram nats {' '.join(f'{value:.3f}' for value in unigram)}"
    )
