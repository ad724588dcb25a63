"""Trains the compact codec in feature space: no audio is made inside the training step.

Recipe (each number was tried; what failed is said beside it):
  start      principal components and k-means codebooks, so that step 0 already is a working codec;
  loss       weighted L1 of left/right log bands + L1 of the log mel spectrum those bands give + 0.5 x L1 of its
             frame-to-frame differences (sharper attacks) + 1.0 x commitment (0.1 let the residuals grow threefold);
  optimizer  Adam with a step size a matrix: one rate for all wrecks the principal components within 200 steps;
  dropout    half of the batch uses all levels, the rest 1 to all, evenly.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from magenta_rt_py.codec import bands, network
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.nn import quantizer
from magenta_rt_py.train import codec_loop, optim
from magenta_rt_py.train.codec_features import PieceFeatures, fit_start, sample_batch

# Adam moves every entry by about the learning rate: wide maps and fitted maps have small entries and need small steps.
_STEP_SIZES = {
    "encoder/input_map": 0.06,
    "encoder/blocks": 0.3,
    "encoder/correction": 0.1,
    "encoder/principal": 0.002,
    "decoder/input_map": 0.5,
    "decoder/blocks": 1.0,
    "decoder/correction": 0.2,
    "decoder/principal": 0.02,
}
_LOUDEST_LOG = 8.0  # natural log of the loudest magnitude worth predicting (full scale is 6.2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecTrainingConfig:
    """How the codec is trained."""

    batch: int = 8  # crops a step
    crop_frames: int = 40  # 1.6 s
    learning_rate: float = 1e-3  # peak, after the warm-up
    final_rate: float = 0.03  # of the peak, at the end of the cosine
    warmup_steps: int = 100
    gain_db: tuple[float, float] = (-6.0, 3.0)  # random loudness of a crop
    difference_weight: float = 0.5  # of the mel differences in the loss
    commitment_weight: float = 1.0
    restart_every_steps: int = 50  # dead codes are replaced this rarely
    log_every_steps: int = 50
    checkpoint_every_seconds: float = 60.0
    max_steps: int | None = None  # stop here even if time is left, and anneal towards it; None: time alone decides


class CodecTrainingState(NamedTuple):
    """All that a resumed run needs."""

    params: dict
    averaged: dict  # moving average of params: what is published
    optimizer: optax.OptState
    codebooks: quantizer.CodebookState
    mean: Float[Array, "features"]
    deviation: Float[Array, "features"]
    step: Int[Array, ""]
    elapsed_seconds: Float[Array, ""]


class _Batch(NamedTuple):
    features: Array  # stored log magnitudes, float16, batch frames stft_frames channels bands
    gain: Array  # energy gain of each crop
    active_levels: Array
    learning_rate: Array
    restart_dead: Array


def _optimizer() -> optax.GradientTransformation:
    settings = optim.AdamWConfig(b1=0.9, b2=0.98, weight_decay=0.0, clip_norm=1.0)
    return optim.adamw(settings, multipliers=[(f"^{prefix}", size) for prefix, size in _STEP_SIZES.items()])


def _mel_of_bands(config: CompactCodecConfig) -> Float[np.ndarray, "bands mels"]:
    """Mel magnitudes from band magnitudes: the bins of a band share its magnitude."""
    mel = librosa.filters.mel(sr=config.sample_rate, n_fft=config.window_samples, n_mels=128)
    return (bands.band_matrix(config) @ mel.T).astype(np.float32)


def _reconstruction_losses(
    config: CompactCodecConfig,
    target: Float[Array, "batch frames features"],
    predicted: Float[Array, "batch frames features"],
) -> dict[str, Float[Array, ""]]:
    """The three distances of the recipe, in natural logs."""
    weights, mel_map = jnp.asarray(bands.band_weights(config)), jnp.asarray(_mel_of_bands(config))
    target_logs, predicted_logs = bands.logs_of_features(config, target), bands.logs_of_features(config, predicted)

    def mel(logs: Array) -> Array:
        magnitudes = jnp.exp(jnp.minimum(logs, _LOUDEST_LOG)) @ mel_map
        batch, frames, stft_frames, channels, mels = magnitudes.shape
        return jnp.log(magnitudes + 1e-3).reshape(batch, frames * stft_frames, channels, mels)

    error = mel(predicted_logs) - mel(target_logs)
    return {
        "band": (weights * jnp.abs(predicted_logs - target_logs)).mean(),
        "mel": jnp.abs(error).mean(),
        "difference": jnp.abs(jnp.diff(error, axis=1)).mean(),
    }


def _make_step(config: CompactCodecConfig, training: CodecTrainingConfig) -> Callable:
    encoder, decoder, optimizer = network.Encoder(config), network.Decoder(config), _optimizer()

    def loss(params: dict, state: CodecTrainingState, batch: _Batch) -> tuple[Array, tuple[dict, quantizer.Quantization]]:
        scaling = network.statistics(config, state.mean, state.deviation)
        energies = bands.energies_of_stored(batch.features) * batch.gain[:, None, None, None, None]
        target = bands.features_of_energies(config, energies)
        latents = encoder.apply({"params": params["encoder"]}, target, scaling)
        quantization = quantizer.straight_through(state.codebooks.codebooks, latents, batch.active_levels)
        predicted = decoder.apply({"params": params["decoder"]}, quantization.quantized, scaling)
        losses = _reconstruction_losses(config, target, predicted)
        losses["commitment"] = quantization.commitment
        total = losses["band"] + losses["mel"] + training.difference_weight * losses["difference"]
        return total + training.commitment_weight * losses["commitment"], (losses, quantization)

    def step(state: CodecTrainingState, batch: _Batch) -> tuple[CodecTrainingState, dict[str, Array]]:
        grads, (losses, quantization) = jax.grad(loss, has_aux=True)(state.params, state, batch)
        updates, optimizer_state = optimizer.update(grads, state.optimizer, state.params)
        params = jax.tree.map(lambda p, u: p + batch.learning_rate * u, state.params, updates)
        keep = codec_loop.average_decay(state.step)
        averaged = jax.tree.map(lambda a, p: keep * a + (1.0 - keep) * p, state.averaged, params)
        key = jax.random.fold_in(jax.random.key(0), state.step)
        codebooks, restarted = quantizer.update_codebooks(
            state.codebooks, quantization.codes, quantization.residuals, key=key, restart_dead=batch.restart_dead
        )
        metrics = losses | {
            "gradient_norm": jnp.sqrt(sum((g**2).sum() for g in jax.tree.leaves(grads))),
            "restarted_codes": restarted,
        }
        state = state._replace(
            params=params, averaged=averaged, optimizer=optimizer_state, codebooks=codebooks, step=state.step + 1
        )
        return state, metrics

    return jax.jit(step, donate_argnums=0)


def _initial_state(
    config: CompactCodecConfig, training: CodecTrainingConfig, tensors: Mapping[str, np.ndarray]
) -> CodecTrainingState:
    params = {part: network.unflatten(tensors, part) for part in ("encoder", "decoder")}
    codebooks = jnp.asarray(tensors["quantizer/codebooks"])
    return CodecTrainingState(
        params=params,
        averaged=jax.tree.map(jnp.array, params),
        optimizer=_optimizer().init(params),
        codebooks=quantizer.init_codebook_state(codebooks, training.batch * training.crop_frames),
        mean=jnp.asarray(tensors["statistics/mean"]),
        deviation=jnp.asarray(tensors["statistics/deviation"]),
        step=jnp.zeros((), jnp.int32),
        elapsed_seconds=jnp.zeros(()),
    )


def flat_tensors(state: CodecTrainingState) -> dict[str, np.ndarray]:
    """The codec a training state holds, as CompactCodec.from_tensors reads it (averaged weights)."""
    return {
        **network.flatten(state.averaged["encoder"], "encoder"),
        **network.flatten(state.averaged["decoder"], "decoder"),
        "quantizer/codebooks": np.asarray(state.codebooks.codebooks),
        "statistics/mean": np.asarray(state.mean),
        "statistics/deviation": np.asarray(state.deviation),
    }


def _draw(
    config: CompactCodecConfig,
    training: CodecTrainingConfig,
    features: Sequence[PieceFeatures],
    seed: int,
    step: int,
    progress: float,
) -> _Batch:
    """One batch; a function of seed and step only (the learning rate also follows the time spent)."""
    random = np.random.default_rng((seed, step))
    gain_db = random.uniform(*training.gain_db, training.batch)
    levels = codec_loop.draw_levels(random, batch=training.batch, num_levels=config.num_levels)
    rate = codec_loop.learning_rate(
        training.learning_rate,
        step=step,
        progress=progress,
        warmup_steps=training.warmup_steps,
        final_rate=training.final_rate,
    )
    return _Batch(
        features=sample_batch(features, random, batch=training.batch, frames=training.crop_frames),
        gain=(10.0 ** (gain_db / 10.0)).astype(np.float32),
        active_levels=levels,
        learning_rate=rate,
        restart_dead=np.bool_(step % training.restart_every_steps == training.restart_every_steps - 1),
    )


class _CompactTask:
    """The compact codec as codec_loop.CodecTask."""

    def __init__(
        self,
        config: CompactCodecConfig,
        training: CodecTrainingConfig,
        features: Sequence[PieceFeatures],
        seed: int,
    ) -> None:
        self._config, self._training, self._features, self._seed = config, training, features, seed
        self.draw = functools.partial(_draw, config, training, features, seed)
        self.step = _make_step(config, training)
        self.tensors = flat_tensors

    def start(self) -> CodecTrainingState:
        """See CodecTask; principal components and k-means."""
        return _initial_state(
            self._config, self._training, fit_start(self._config, self._features, seed=self._seed)
        )

    def blank(self) -> CodecTrainingState:
        """See CodecTask."""
        zeros = {name: np.zeros(shape, np.float32) for name, shape in network.tensor_shapes(self._config).items()}
        return _initial_state(self._config, self._training, zeros)


def train_codec(
    features: Sequence[PieceFeatures],
    config: CompactCodecConfig,
    *,
    seconds_budget: float,
    directory: str | Path,
    seed: int = 0,
    log: Callable[[str], None] = print,
    training: CodecTrainingConfig | None = None,
) -> dict[str, np.ndarray]:
    """Trains a codec for a given time, or goes on with the training found in `directory`.

    Args:
      features: one array a piece (bands.stored_features; memory maps are read crop by crop).
      seconds_budget: wall-clock seconds of the whole run, earlier parts of a resumed run included; the learning rate
        follows its fraction. The fitting of the start is not counted.
      directory: gets checkpoint.safetensors and metrics.jsonl.
      log: called with one line every 50 steps.
    Returns:
      flat tensors for CompactCodec.from_tensors, from the averaged weights.
    Raises:
      ValueError: if the pieces are shorter than a crop.
      CheckpointError: if the checkpoint in `directory` belongs to another config.
    """
    training = training or CodecTrainingConfig()
    return codec_loop.train(
        _CompactTask(config, training, features, seed),
        training,
        seconds_budget=seconds_budget,
        directory=directory,
        log=log,
        started="codec start fitted (principal components and k-means)",
    )
