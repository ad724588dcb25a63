"""Trains SpectroStream on sound: reconstruction of spectra, then a discriminator as well.

Recipe for the full size. Nobody has run it here: the tests train a tiny codec for some steps, which proves the loop and
not the sound.
  data       100 hours of 48 kHz stereo or more, as memory maps of samples; crops of 2 s, 32 a step over the devices;
  start      random nets, scaled so that the latents have variance 1 and the first sound the loudness of its target;
             k-means codebooks, so that every level has something to code from step 0 on;
  loss       1.0 x log mel (four resolutions) + 1.0 x compressed complex spectra (the one that hears phase) + 1.0 x
             commitment; from step 20,000 on also 0.1 x adversarial + 2.0 x feature matching, once the sound is worth
             judging (SoundStream and EnCodec weigh the terms alike, relative to their reconstruction losses);
  optimizer  Adam (0.9, 0.98), 3e-4 after 1,000 steps of warm-up, cosine; discriminator: the same at a third of the rate;
  dropout    half of the crops use all levels, the rest 1 to all, evenly;
  length     some 400,000 steps. Look at `mel` of a held-out piece; listen before adding steps.

Source: Live Music Models appendix C.1 (adversarial and reconstruction losses); SoundStream (Zeghidour et al. 2021) section
III; the weights are ours and are first guesses.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float32, Int

from magenta_rt_py.codec import spectrostream_network as network
from magenta_rt_py.codec import spectrostream_spectrum as spectrum
from magenta_rt_py.codec.network import flatten, unflatten
from magenta_rt_py.codec.spectrostream_config import SpectroStreamConfig
from magenta_rt_py.nn import quantizer
from magenta_rt_py.train import codec_loop
from magenta_rt_py.train.adversary import AdversarialConfig, Adversary, spectral_losses
from magenta_rt_py.train.codec_features import sample_sounds
from magenta_rt_py.train.runs import RunRecord
from magenta_rt_py.train.runs.data_hash import hash_arrays

Sounds = Sequence[Float32[np.ndarray, "_ channels"]]  # samples of each piece, -1..1

_KMEANS_VECTORS_A_CODE = 20
_START_CROPS = 8  # crops that the start is fitted to at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaveformTrainingConfig(AdversarialConfig):
    """How SpectroStream is trained; the module says where the numbers come from."""

    batch: int = 32  # crops a step
    crop_frames: int = 51  # 2 s, and the frame that is only look-ahead
    learning_rate: float = 3e-4  # peak, after the warm-up
    warmup_steps: int = 1000
    gain_db: tuple[float, float] = (-12.0, 3.0)  # random loudness of a crop
    coarse_share: float = 0.0  # no language model of ours reads its codes
    checkpoint_every_seconds: float = 600.0


class WaveformTrainingState(NamedTuple):
    """All that a resumed run needs."""

    params: dict
    averaged: dict  # moving average of params: what is published
    optimizer: optax.OptState
    codebooks: quantizer.CodebookState
    discriminator: dict
    discriminator_optimizer: optax.OptState
    step: Int[Array, ""]
    elapsed_seconds: Float[Array, ""]


class _Batch(NamedTuple):
    samples: Array
    active_levels: Array
    learning_rate: Array
    restart_dead: Array
    adversarial: np.bool_


def _make_step(config: SpectroStreamConfig, training: WaveformTrainingConfig, *, adversarial: bool) -> Callable:
    adversary = Adversary(training)

    def loss(params: dict, state: WaveformTrainingState, batch: _Batch) -> tuple[Array, tuple[dict, Any, Array]]:
        latents = network.encode_latents(config, params["encoder"], batch.samples)
        quantization = quantizer.straight_through(state.codebooks.codebooks, latents, batch.active_levels)
        decoded = network.decode_quantized(config, params["decoder"], quantization.quantized)
        target = batch.samples[:, : decoded.shape[1]]
        total, parts = spectral_losses(training, decoded, target)
        parts["commitment"] = quantization.commitment
        total = total + training.commitment_weight * parts["commitment"]
        if adversarial:
            verdict, verdict_parts = adversary.verdict(state.discriminator, decoded, target)
            total, parts = total + verdict, parts | verdict_parts
        return total, (parts, quantization, decoded)

    def step(state: WaveformTrainingState, batch: _Batch) -> tuple[WaveformTrainingState, dict[str, Array]]:
        grads, (metrics, quantization, decoded) = jax.grad(loss, has_aux=True)(state.params, state, batch)
        state, restarts = codec_loop.follow_latents(state, quantization, batch.restart_dead)
        if adversarial:
            target = batch.samples[:, : decoded.shape[1]]
            state, learnt = adversary.learn(state, decoded, target, batch.learning_rate)
            metrics |= learnt
        state, norms = codec_loop.descend(state, grads, codec_loop.adam(), batch.learning_rate)
        return state, metrics | norms | restarts

    return jax.jit(step, donate_argnums=0)


def fit_start(
    config: SpectroStreamConfig, training: WaveformTrainingConfig, sounds: Sounds, *, seed: int
) -> dict[str, np.ndarray]:
    """Tensors to start from: random nets in the right loudness, k-means codebooks.

    Raises:
      ValueError: if the pieces are shorter than a crop.
    """
    tensors = network.random_tensors(config, seed=seed)
    random, size = np.random.default_rng(seed), training.crop_frames * config.frame_samples
    encode = jax.jit(functools.partial(network.encode_latents, config))
    rounds = max(1, -(-_KMEANS_VECTORS_A_CODE * config.codebook_size // (training.crop_frames * _START_CROPS)))
    latents, loudness = [], 0.0
    for _ in range(rounds):
        samples = sample_sounds(sounds, random, batch=_START_CROPS, samples=size)
        loudness = max(loudness, float(_rms(spectrum.analyse(config, jnp.asarray(samples)))))
        latents.append(np.asarray(encode(unflatten(tensors, "encoder"), samples)).reshape(-1, config.latent_dim))
    pool = np.concatenate(latents)
    deviation = np.float32(max(float(pool.std()), 1e-6))
    for name in tensors:
        if name.startswith(("encoder/output_convs/conv1x1_last/", "encoder/output_convs/shortcut_layer/conv1x1_b2/")):
            tensors[name] = tensors[name] / deviation
    pool = jnp.asarray(pool / deviation)
    decode = jax.jit(functools.partial(network.Decoder(config).apply, method="step"))
    _, made = decode({"params": unflatten(tensors, "decoder")}, None, pool[None, : training.crop_frames])
    for name in tensors:
        if name.startswith("decoder/output_layer/"):
            tensors[name] = tensors[name] * np.float32(loudness / max(float(_rms(made)), 1e-6))
    books = quantizer.kmeans(
        pool, key=jax.random.key(seed), num_levels=config.num_levels, codebook_size=config.codebook_size
    )
    return tensors | {network.CODEBOOKS: np.asarray(books)}


def _rms(values: Float[Array, "..."]) -> Float[Array, ""]:
    return jnp.sqrt((values**2).mean())


class _WaveformTask:
    """SpectroStream as codec_loop.CodecTask."""

    started = "codec start fitted (random nets in the right loudness, k-means codebooks)"

    def __init__(
        self, config: SpectroStreamConfig, training: WaveformTrainingConfig, sounds: Sounds, seed: int
    ) -> None:
        self._config, self.training, self._sounds, self._seed = config, training, sounds, seed
        self._steps = {flag: _make_step(config, training, adversarial=flag) for flag in (False, True)}

    def start(self) -> WaveformTrainingState:
        """See CodecTask."""
        return self._state(fit_start(self._config, self.training, self._sounds, seed=self._seed))

    def blank(self) -> WaveformTrainingState:
        """See CodecTask."""
        shapes = network.tensor_shapes(self._config)
        return self._state({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})

    def draw(self, step: int, progress: float) -> _Batch:
        """See CodecTask; a function of seed and step only (the learning rate also follows the time spent)."""
        training = self.training
        random = np.random.default_rng((self._seed, step))
        plan = codec_loop.plan_step(training, random, step=step, progress=progress, num_levels=self._config.num_levels)
        size = training.crop_frames * self._config.frame_samples
        gain = 10.0 ** (plan.gain_db[:, None, None] / 20.0)
        return _Batch(
            samples=sample_sounds(self._sounds, random, batch=training.batch, samples=size) * gain,
            active_levels=plan.active_levels,
            learning_rate=plan.learning_rate,
            restart_dead=plan.restart_dead,
            adversarial=np.bool_(step >= training.adversarial_from_step),
        )

    def step(self, state: WaveformTrainingState, batch: _Batch) -> tuple[WaveformTrainingState, dict[str, Any]]:
        """See CodecTask."""
        return self._steps[bool(batch.adversarial)](state, batch)

    def tensors(self, state: WaveformTrainingState) -> dict[str, np.ndarray]:
        """See CodecTask; from the averaged weights."""
        return {
            **flatten(state.averaged["encoder"], "encoder"),
            **flatten(state.averaged["decoder"], "decoder"),
            network.CODEBOOKS: np.asarray(state.codebooks.codebooks),
        }

    def _state(self, tensors: dict[str, np.ndarray]) -> WaveformTrainingState:
        params = {part: unflatten(tensors, part) for part in ("encoder", "decoder")}
        judge = Adversary(self.training).init(
            self._seed, samples=self._config.frame_samples, channels=self._config.channels
        )
        codebooks = jnp.asarray(tensors[network.CODEBOOKS])
        return WaveformTrainingState(
            params=params,
            averaged=jax.tree.map(jnp.array, params),
            optimizer=codec_loop.adam().init(params),
            codebooks=quantizer.init_codebook_state(codebooks, self.training.batch * self.training.crop_frames),
            discriminator=judge,
            discriminator_optimizer=codec_loop.adam().init(judge),
            step=jnp.zeros((), jnp.int32),
            elapsed_seconds=jnp.zeros(()),
        )


def train_spectrostream(
    sounds: Sounds,
    config: SpectroStreamConfig,
    *,
    seconds_budget: float,
    directory: str | Path,
    seed: int = 0,
    log: Callable[[str], None] = print,
    training: WaveformTrainingConfig | None = None,
) -> dict[str, np.ndarray]:
    """Trains a codec for a given time, or goes on with the training found in `directory`.

    Args:
      sounds: samples of each piece at the config's sample rate, -1..1; memory maps are read crop by crop.
      seconds_budget, directory, log: as codec_loop.train takes them; it says what is raised as well.
    Returns:
      flat tensors for SpectroStream.from_tensors, from the averaged weights.
    Raises:
      ValueError: if the pieces are shorter than a crop.
    """
    task = _WaveformTask(config, training or WaveformTrainingConfig(), sounds, seed)
    settings = {"model": config, "training": task.training, "seed": seed, "seconds_budget": seconds_budget}
    with RunRecord.begin(directory, settings, hash_arrays(sounds), model="codec"):
        return codec_loop.train(task, seconds_budget=seconds_budget, directory=directory, log=log)
