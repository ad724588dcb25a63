"""Trains the compact codec in feature space: no audio is made inside the training step.

Recipe (each number was tried; what failed is said beside it):
  start      principal components and k-means codebooks, so that step 0 already is a working codec;
  loss       weighted L1 of left/right log bands + L1 of the log mel spectrum those bands give + 0.5 x L1 of its
             frame-to-frame differences (sharper attacks) + 1.0 x commitment (0.1 let the residuals grow threefold);
  optimizer  Adam with a step size a matrix: one rate for all wrecks the principal components within 200 steps;
  dropout    half of the crops use all levels, a quarter the four that the language model makes, the rest 1 to all, evenly;
  gain       what the phase stage makes quieter or louder is measured once at the end (train/codec_gain.py).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from magenta_rt_py.codec import bands, network
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.nn import quantizer
from magenta_rt_py.train import codec_loop
from magenta_rt_py.train.codec_features import PieceFeatures, fit_start, mel_of_bands, sample_batch
from magenta_rt_py.train.codec_gain import measured_gain
from magenta_rt_py.train.runs import RunRecord
from magenta_rt_py.train.runs.data_hash import hash_arrays

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
class CodecTrainingConfig(codec_loop.CodecRunConfig):
    """How the compact codec is trained."""

    difference_weight: float = 0.5  # of the mel differences in the loss


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
    return codec_loop.adam([(f"^{prefix}", size) for prefix, size in _STEP_SIZES.items()])


def _reconstruction_losses(
    config: CompactCodecConfig,
    target: Float[Array, "batch frames features"],
    predicted: Float[Array, "batch frames features"],
) -> dict[str, Float[Array, ""]]:
    """The three distances of the recipe, in natural logs."""
    weights, mel_map = jnp.asarray(bands.band_weights(config)), jnp.asarray(mel_of_bands(config))
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
        state, restarts = codec_loop.follow_latents(state, quantization, batch.restart_dead)
        state, norms = codec_loop.descend(state, grads, optimizer, batch.learning_rate)
        return state, losses | norms | restarts

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


def flat_tensors(config: CompactCodecConfig, state: CodecTrainingState) -> dict[str, np.ndarray]:
    """The codec a training state holds, as CompactCodec.from_tensors reads it (averaged weights)."""
    return {
        **network.flatten(state.averaged["encoder"], "encoder"),
        **network.flatten(state.averaged["decoder"], "decoder"),
        "quantizer/codebooks": np.asarray(state.codebooks.codebooks),
        "statistics/mean": np.asarray(state.mean),
        "statistics/deviation": np.asarray(state.deviation),
        network.GAIN: np.zeros(bands.band_count(config), np.float32),
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
    plan = codec_loop.plan_step(training, random, step=step, progress=progress, num_levels=config.num_levels)
    return _Batch(
        features=sample_batch(features, random, batch=training.batch, frames=training.crop_frames),
        gain=10.0 ** (plan.gain_db / 10.0),
        active_levels=plan.active_levels,
        learning_rate=plan.learning_rate,
        restart_dead=plan.restart_dead,
    )


class _CompactTask:
    """The compact codec as codec_loop.CodecTask."""

    started = "codec start fitted (principal components and k-means)"

    def __init__(
        self,
        config: CompactCodecConfig,
        training: CodecTrainingConfig,
        features: Sequence[PieceFeatures],
        seed: int,
    ) -> None:
        self._config, self.training, self._features, self._seed = config, training, features, seed
        self.draw = functools.partial(_draw, config, training, features, seed)
        self.step = _make_step(config, training)
        self.tensors = functools.partial(flat_tensors, config)

    def start(self) -> CodecTrainingState:
        """See CodecTask; principal components and k-means."""
        return _initial_state(
            self._config, self.training, fit_start(self._config, self._features, seed=self._seed)
        )

    def blank(self) -> CodecTrainingState:
        """See CodecTask."""
        zeros = {name: np.zeros(shape, np.float32) for name, shape in network.tensor_shapes(self._config).items()}
        return _initial_state(self._config, self.training, zeros)


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
      seconds_budget, directory, log: as codec_loop.train takes them; it says what is raised as well.
    Returns:
      flat tensors for CompactCodec.from_tensors, from the averaged weights.
    Raises:
      ValueError: if the pieces are shorter than a crop.
    """
    task = _CompactTask(config, training or CodecTrainingConfig(), features, seed)
    settings = {"model": config, "training": task.training, "seed": seed, "seconds_budget": seconds_budget}
    with RunRecord.begin(directory, settings, hash_arrays(features), model="codec"):
        tensors = codec_loop.train(task, seconds_budget=seconds_budget, directory=directory, log=log)
    return measured_gain(config, tensors, features, seed=seed, log=log)
