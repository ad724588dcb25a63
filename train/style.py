"""Training of the style model: towers by contrastive (and optional captioning) loss, then codebooks by k-means.

Source: Live Music Models, section 2.2 (contrastive captioner after MuLan and CoCa). What differs, because the budget is
minutes on two CPU cores: AdamW on a cosine that follows the clock instead of Adafactor, batch 64 instead of 1024 with
false negatives taken out, half of the patches per step, the captioning loss off unless asked for, and exact labels: where
a data set has parts, both towers also learn a vector of each genre and instrument (`tag_loss`).
"""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.nn import quantizer
from magenta_rt_py.style.audio_tower import AudioTower
from magenta_rt_py.style.caption_decoder import CaptionDecoder
from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.style.embedder import StyleModel, finish, scale_to_length, standardise
from magenta_rt_py.style.text_tower import TextTower
from magenta_rt_py.style.tokenizer import Tokenizer
from magenta_rt_py.train import loop, optim
from magenta_rt_py.train.runs import RunRecord
from magenta_rt_py.train.runs.data_hash import hash_arrays
from magenta_rt_py.train.style_augmentation import LogMelAugmentation
from magenta_rt_py.train.style_data import (
    StyleBatch,
    StyleBatchConfig,
    StyleDataset,
    StylePairs,
    StyleSampler,
    train_tokenizer,
)
from magenta_rt_py.train.style_metrics import evaluate, retrieval_metrics, unit

Tensors = dict[str, np.ndarray]

_BATCHES, _AUGMENTATION = StyleBatchConfig(), LogMelAugmentation()


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleTrainOptions:
    """How the towers are trained; the defaults suit ten minutes on two CPU cores."""

    batch_size: int = 64  # audio-text pairs a step (paper: 1024)
    learning_rate: float = 1.5e-3  # peak
    warmup_steps: int = 60  # paper: 1000 of 16000
    weight_decay: float = 0.05  # AdamW, matrices only
    ema_decay: float = 0.99  # of the weight average that is exported
    kept_patches: float = 0.5  # share of patches the audio tower sees a step; 1 is all
    caption_weight: float = 0.0  # next-token loss of captions; the paper weighs it 1, which doubles a step's cost
    alignment_weight: float = 0.5  # pulls each pair together, so that the codes of both stand for nearby vectors
    initial_scale: float = 14.0  # logits = scale * cosine, learned
    max_scale: float = 40.0  # upper limit of the learned scale
    composition_weight: float = 0.5  # pulls the blend of two words towards the caption that joins them
    tag_weight: float = 1.0  # pulls clips and captions towards a learned vector of each genre and instrument that they have
    batches: StyleBatchConfig = _BATCHES  # what a batch is made of
    augmentation: LogMelAugmentation = _AUGMENTATION  # gain, colour, noise, rooms: real recordings are not clean
    held_out_fraction: float = 0.08  # of the pieces, for the metrics
    max_steps: int | None = None  # stop here even if time is left; None is time only
    eval_every_seconds: float = 60.0  # between two evaluations
    quantizer_vectors: int = 12_000  # vectors the codebooks are fitted on: audio, text and blends, a third each
    quantizer_iterations: int = 8  # Lloyd iterations a level


def contrastive_loss(
    audio: Float[Array, "batch dim"],
    text: Float[Array, "batch dim"],
    scale: Float[Array, ""],
    not_negative: Bool[Array, "batch batch"],
) -> Float[Array, ""]:
    """Symmetric InfoNCE over unit vectors, row i of audio belonging to row i of text.

    Args:
      audio: unit vectors of clips.
      text: unit vectors of captions.
      scale: inverse temperature.
      not_negative: [i, j] is True where caption j also fits clip i, so that the pair must not be pushed apart.
    """
    logits = scale * audio @ text.T
    diagonal = jnp.eye(len(audio), dtype=bool)
    logits = jnp.where(not_negative & ~diagonal, -1e9, logits)
    per_audio = -jnp.diagonal(jax.nn.log_softmax(logits, axis=1))
    per_text = -jnp.diagonal(jax.nn.log_softmax(logits, axis=0))
    return 0.5 * (per_audio.mean() + per_text.mean())


def tag_loss(
    vectors: Float[Array, "batch dim"],
    tag_vectors: Float[Array, "tags dim"],
    scale: Float[Array, ""],
    tags: Bool[Array, "batch tags"],
    claims: Bool[Array, "batch tags"],
) -> Float[Array, ""]:
    """Each vector against a learned vector of every tag: near those that are claimed, away from those that are not true.

    Where nothing is claimed, one true tag is enough: a caption need not say everything. Labels that are exact teach both
    towers where a genre lies long before they can learn it from each other.

    Args:
      vectors: unit vectors of clips or captions.
      tag_vectors: unit vectors, learned.
      scale: inverse temperature.
      tags: what is true of each row's piece; other true tags than the claimed ones count neither way.
      claims: what each row must be near to, among `tags`.
    """
    logits = scale * vectors @ tag_vectors.T
    wrong = jax.nn.logsumexp(jnp.where(tags, -1e9, logits), axis=1)
    count = claims.sum(axis=1)
    every = (jax.nn.softplus(wrong[:, None] - logits) * claims).sum(axis=1) / jnp.maximum(count, 1)
    any_of = jax.nn.softplus(wrong - jax.nn.logsumexp(jnp.where(tags, logits, -1e9), axis=1))
    return jnp.where(count > 0, every, any_of).mean()


def caption_loss(
    logits: Float[Array, "batch tokens vocabulary"],
    token_ids: Int[Array, "batch tokens"],
    present: Bool[Array, "batch tokens"],
) -> Float[Array, ""]:
    """Mean next-token cross-entropy in nats; padding does not count."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], token_ids[:, 1:])
    weights = present[:, 1:].astype(losses.dtype)
    return (losses * weights).sum() / jnp.maximum(weights.sum(), 1.0)


def make_loss(
    config: StyleConfig, options: StyleTrainOptions, front_end: tuple[np.ndarray, np.ndarray]
) -> Callable[..., tuple[Array, dict[str, Array]]]:
    """The loss(params, batch, key) -> (total, its parts), as `train.loop` takes it."""

    def loss(params: Any, batch: StyleBatch, key: PRNGKeyArray) -> tuple[Array, dict[str, Array]]:
        log_mels = standardise(batch.log_mels, *(jnp.asarray(values) for values in front_end))
        kept = _random_patches(key, len(log_mels), config, options.kept_patches)
        tower, variables = AudioTower(config), {"params": params["audio"]}
        hidden = tower.apply(variables, log_mels, kept, method="tokens")
        audio = _centred(tower.apply(variables, hidden, method="pool"))
        text, blends = _texts_and_blends(params["text"], batch, config)
        scale = jnp.minimum(jnp.exp(params["scale"]), options.max_scale)
        parts = {
            "contrastive": contrastive_loss(audio, _half_replaced(text, blends), scale, batch.not_negative),
            "alignment": (1.0 - (audio * text).sum(-1)).mean(),
            "scale": scale,
        }
        total = parts["contrastive"] + options.alignment_weight * parts["alignment"]
        if len(blends):
            parts["composition"] = (1.0 - (blends * text[: len(blends)]).sum(-1)).mean()
            total = total + options.composition_weight * parts["composition"]
        if batch.tags.shape[1]:
            vectors = scale_to_length(params["tags"], 1.0)
            parts["audio_tags"] = tag_loss(audio, vectors, scale, batch.tags, batch.tags)
            parts["text_tags"] = tag_loss(text, vectors, scale, batch.tags, batch.claims)
            total = total + options.tag_weight * (parts["audio_tags"] + parts["text_tags"])
        if options.caption_weight:
            logits = CaptionDecoder(config).apply({"params": params["decoder"]}, batch.token_ids, hidden)
            parts["caption"] = caption_loss(logits, batch.token_ids, batch.present)
            total = total + options.caption_weight * parts["caption"]
        return total, parts

    return loss


def _centred(raw: Float[Array, "batch dim"]) -> Float[Array, "batch dim"]:
    """What `finish` does when the model is used, with the batch's mean in place of the data's."""
    unit = scale_to_length(raw, 1.0)
    return scale_to_length(unit - unit.mean(axis=0), 1.0)


def _texts_and_blends(
    params: Any, batch: StyleBatch, config: StyleConfig
) -> tuple[Float[Array, "batch dim"], Float[Array, "composed dim"]]:
    """Embeddings of the captions, and for the first rows the blend of the embeddings of the two words they join."""
    tower = TextTower(config)
    captions = scale_to_length(tower.apply({"params": params}, batch.token_ids, batch.present), 1.0)
    mean = captions.mean(axis=0)
    text = scale_to_length(captions - mean, 1.0)
    composed, _, tokens = batch.part_ids.shape
    if not composed:
        return text, text[:0]
    flat = batch.part_ids.reshape(-1, tokens), batch.part_present.reshape(-1, tokens)
    words = scale_to_length(tower.apply({"params": params}, *flat), 1.0)
    words = scale_to_length(words - mean, 1.0).reshape(composed, 2, -1)
    return text, scale_to_length(words.sum(axis=1), 1.0)


def _half_replaced(text: Float[Array, "batch dim"], blends: Float[Array, "composed dim"]) -> Float[Array, "batch dim"]:
    """The captions' embeddings, every second of those that have a blend replaced by it: blends must find audio too."""
    odd = (jnp.arange(len(blends)) % 2 == 1)[:, None]
    return text.at[: len(blends)].set(jnp.where(odd, blends, text[: len(blends)])) if len(blends) else text


def _random_patches(key: PRNGKeyArray, rows: int, config: StyleConfig, share: float) -> Int[Array, "rows kept"] | None:
    kept = max(1, round(config.num_patches * share))
    if kept >= config.num_patches:
        return None
    return jax.random.uniform(key, (rows, config.num_patches)).argsort(axis=1)[:, :kept]


def init_params(config: StyleConfig, options: StyleTrainOptions, seed: int, *, num_tags: int = 0) -> dict[str, Any]:
    """Fresh "audio", "text", "scale" (log of the logit scale), "tags" and, when captions are learned, "decoder"."""
    keys = jax.random.split(jax.random.PRNGKey(seed), 4)
    mels = jnp.zeros((1, config.stft_frames, config.mel_bands))
    ids = jnp.zeros((1, config.max_tokens), jnp.int32)
    params = {
        "audio": AudioTower(config).init(keys[0], mels)["params"],
        "text": TextTower(config).init(keys[1], ids, ids == 0)["params"],
        "scale": jnp.log(jnp.asarray(options.initial_scale)),
        "tags": jax.random.normal(keys[3], (num_tags, config.dim)),
    }
    if options.caption_weight:
        hidden = jnp.zeros((1, config.num_patches, config.audio_width))
        params["decoder"] = CaptionDecoder(config).init(keys[2], ids, hidden)["params"]
    return params


def train_style(
    dataset: StyleDataset,
    config: StyleConfig,
    *,
    seconds_budget: float,
    directory: Path | str,
    seed: int = 0,
    log: Callable[[str], None] | None = print,
    options: StyleTrainOptions = StyleTrainOptions(),
) -> tuple[Tensors, bytes]:
    """Trains tokenizer, towers and codebooks.

    A run that was stopped goes on from its last checkpoint in `directory` when called again with the same arguments.
    The budget covers the towers' training over all runs; the codebooks of the starter take about half a minute more.

    Args:
      dataset: log-mel windows, captions and labels.
      config: geometry of the model.
      seconds_budget: wall seconds for the towers.
      directory: gets tokenizer.model, run.json, checkpoint.safetensors, metrics.jsonl and result.json (the final
        metrics).
      seed: of initial weights, batches and augmentation.
      log: called with one line per report; None is silent.
      options: how to train.

    Returns:
      Flat tensors for `StyleModel.from_tensors` (without the tokenizer) and the tokenizer's bytes.

    Raises:
      CheckpointError: the directory holds a run with other settings.
      FloatingPointError: the loss is no longer finite.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _check_same_run(directory, {"config": config.to_dict(), "seed": seed, "captioning": bool(options.caption_weight)})
    tokenizer = Tokenizer(_tokenizer_bytes(dataset, config, directory), config)
    sampler = StyleSampler(
        dataset,
        tokenizer,
        held_out_fraction=options.held_out_fraction,
        seed=seed,
        batches=options.batches,
        augment=options.augmentation,
    )
    towers = _Towers(config, sampler)
    settings = {"model": config, "options": options, "seed": seed, "seconds_budget": seconds_budget}
    data_hash = hash_arrays(dataset.shards, [dataset.captions, dataset.parts])
    with RunRecord.begin(directory, settings, data_hash, model="style"):
        params = _train_towers(towers, config, options, seconds_budget, directory, seed, log)
    tensors = towers.finished_tensors(params, options, seed)
    model = StyleModel.from_tensors(config, tensors, tokenizer.model_bytes)
    result = evaluate(model, sampler.held_out_pairs(256), dataset.genre_names)
    _write_atomically(directory / "result.json", json.dumps(result, indent=1).encode())
    if log:
        log("style " + " ".join(f"{name} {value:.3f}" for name, value in result.items()))
    return tensors, tokenizer.model_bytes


def _train_towers(
    towers: "_Towers",
    config: StyleConfig,
    options: StyleTrainOptions,
    seconds_budget: float,
    directory: Path,
    seed: int,
    log: Callable[[str], None] | None,
) -> dict[str, Any]:
    """Runs the loop; returns the weight average."""
    sampler, pairs = towers.sampler, towers.sampler.held_out_pairs(128)
    optimizer = optim.adamw(optim.AdamWConfig(weight_decay=options.weight_decay))
    loss = make_loss(config, options, towers.front_end)
    state = loop.run(
        loop.make_step(loss, optimizer, seed=seed, final_ema_decay=options.ema_decay),
        loop.create_state(init_params(config, options, seed, num_tags=len(sampler.tags)), optimizer),
        lambda step: sampler.batch(options.batch_size, step),
        schedule=optim.warmup_cosine(options.learning_rate, warmup_steps=options.warmup_steps),
        directory=directory,
        config=loop.LoopConfig(
            seconds_budget=seconds_budget, max_steps=options.max_steps, eval_every_seconds=options.eval_every_seconds
        ),
        eval_function=lambda state: retrieval_metrics(*towers.centred_pairs(state.ema, pairs), pairs.labels),
        log=log,
    )
    return state.ema


class _Towers:
    """The towers on their way to a bundle: raw outputs, modality means, codebooks. Compiled once for a run."""

    def __init__(self, config: StyleConfig, sampler: StyleSampler) -> None:
        self.sampler, self.front_end, self._config = sampler, sampler.front_end(), config
        self._apply_audio = jax.jit(
            lambda params, mels: AudioTower(config).apply({"params": params}, standardise(mels, *self.front_end))
        )
        self._apply_text = jax.jit(lambda params, ids, present: TextTower(config).apply({"params": params}, ids, present))

    def audio(
        self, params: dict[str, Any], log_mels: Float[np.ndarray, "rows stft_frames bands"]
    ) -> Float[np.ndarray, "rows dim"]:
        """Raw audio outputs."""
        pieces = [log_mels[start : start + 64] for start in range(0, len(log_mels), 64)]
        return np.concatenate([np.asarray(self._apply_audio(params["audio"], piece)) for piece in pieces])

    def text(self, params: dict[str, Any], captions: list[str]) -> Float[np.ndarray, "rows dim"]:
        """Raw text outputs."""
        encode = self.sampler.tokenizer.encode
        pieces = [encode(captions[start : start + 64]) for start in range(0, len(captions), 64)]
        return np.concatenate([np.asarray(self._apply_text(params["text"], *piece)) for piece in pieces])

    def centred_pairs(self, params: dict[str, Any], pairs: StylePairs) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of pairs, centred by the pairs' own means (an estimate, for metrics on the way)."""
        raw = self.audio(params, pairs.log_mels), self.text(params, pairs.captions)
        audio, text = (np.asarray(finish(rows, unit(rows).mean(axis=0), self._config)) for rows in raw)
        return audio, text

    def finished_tensors(self, params: dict[str, Any], options: StyleTrainOptions, seed: int) -> Tensors:
        """The bundle's tensors: towers, front end, modality means and freshly fitted codebooks."""
        config, rows = self._config, options.quantizer_vectors // 3
        audio = self.audio(params, self.sampler.training_log_mels(rows))
        text = self.text(params, self.sampler.training_captions(rows))
        audio_mean, text_mean = unit(audio).mean(axis=0), unit(text).mean(axis=0)
        embeddings = np.concatenate([finish(audio, audio_mean, config), finish(text, text_mean, config)])
        code_vectors = quantizer.kmeans(
            jnp.asarray(_with_blends(embeddings, rows, config, seed)),
            key=jax.random.PRNGKey(seed),
            num_levels=config.num_levels,
            codebook_size=config.codebook_size,
            iterations=options.quantizer_iterations,
        )
        towers = {name: params[name] for name in ("audio", "text")}
        flat = flax.traverse_util.flatten_dict(towers, sep="/") | {
            "front_end/mean": self.front_end[0],
            "front_end/std": self.front_end[1],
            "centre/audio": audio_mean,
            "centre/text": text_mean,
            "quantizer/code_vectors": code_vectors,
        }
        return {name: np.asarray(value) for name, value in flat.items()}


def _with_blends(embeddings: np.ndarray, count: int, config: StyleConfig, seed: int) -> np.ndarray:
    """The embeddings and random blends of two of them, so that mixes quantize as well as single prompts."""
    random = np.random.default_rng((seed, 6))
    first, second = random.integers(len(embeddings), size=(2, count))
    share = random.uniform(0.2, 0.8, size=(count, 1)).astype(np.float32)
    blends = share * embeddings[first] + (1.0 - share) * embeddings[second]
    if config.normalize:
        blends = unit(blends) * np.float32(config.dim**0.5)
    return np.concatenate([embeddings, blends]).astype(np.float32)


def _check_same_run(directory: Path, settings: dict[str, Any]) -> None:
    path = directory / "run.json"
    text = json.dumps(settings, indent=1, sort_keys=True)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise CheckpointError(
            f"{directory} holds a style run with another config, seed or captioning setting; remove it or name another "
            "directory"
        )
    _write_atomically(path, text.encode())


def _tokenizer_bytes(dataset: StyleDataset, config: StyleConfig, directory: Path) -> bytes:
    path = directory / "tokenizer.model"
    if not path.exists():
        words = [word for parts in dataset.parts for part in parts for word in part.words]
        captions = [text for texts in dataset.captions for text in texts] + words
        _write_atomically(path, train_tokenizer([*captions, *dataset.genre_names], config))
    return path.read_bytes()


def _write_atomically(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(path.suffix + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)
