"""Trains the compact codec's learned phase on sound, encoder and codebooks frozen: a better decoder for the same codes.

Meant for a GPU; the tests train a tiny one for some steps, which proves the loop and not the sound.
  data       pieces of sound and their codes by the trained codec, made once; crops of 1.6 s, 32 a step;
  start      the trained codec, and a net that keeps phases turning (codec/learned_phase.py): step 0 is a working decoder;
  trained    the phase net, and with small steps what the decoder makes of the codes; what makes codes of sound is not;
  loss       1.0 x log mel at four resolutions on left, right, mid and side (windows longer and shorter than the codec's
             own, which only phases that fit together satisfy); from adversarial_from_step on also 0.1 x adversarial + 2.0 x
             feature matching. No complex spectra: the codes do not hold the phase, and a decoder that is asked for it
             answers with less sound;
  levels     half of the crops use all, a quarter the four that the language model makes, the rest 1 to all, evenly.

Source: discriminators late and encoder frozen as in EnCodec (Defossez et al. 2022), section 3.4, and its followers; the
weights are ours and are first guesses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Complex, Float, Float32, Int

from magenta_rt_py.codec import CompactCodec, bands, learned_phase, network, synthesis
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.nn import quantizer
from magenta_rt_py.train import codec_loop
from magenta_rt_py.train.adversary import AdversarialConfig, Adversary, spectral_losses
from magenta_rt_py.train.codec_features import crop_starts
from magenta_rt_py.train.runs import RunRecord
from magenta_rt_py.train.runs.data_hash import hash_arrays

_FROZEN = ("encoder/", "quantizer/", "statistics/")


class CodedSound(NamedTuple):
    """A piece of sound and its codes by the codec whose decoder is trained."""

    samples: Float32[np.ndarray, "samples channels"]  # 48 kHz, -1..1
    codes: Int[np.ndarray, "frames levels"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderTrainingConfig(AdversarialConfig):
    """How the learned phase is trained; the module says where the numbers come from."""

    batch: int = 32  # crops a step
    learning_rate: float = 5e-4  # peak, after the warm-up
    gain_db: tuple[float, float] = (0.0, 0.0)  # codes belong to one loudness
    complex_weight: float = 0.0
    adversarial_from_step: int = 3_000
    decoder_step_size: float = 0.05  # of the decoder before the phase, over the phase net's
    checkpoint_every_seconds: float = 120.0


class DecoderTrainingState(NamedTuple):
    """All that a resumed run needs; what is frozen is not part of it."""

    params: dict
    averaged: dict  # moving average of params: what is published
    optimizer: optax.OptState
    discriminator: dict
    discriminator_optimizer: optax.OptState
    step: Int[Array, ""]
    elapsed_seconds: Float[Array, ""]


class _Frozen(NamedTuple):
    codebooks: Array
    scaling: network.Statistics


class _Batch(NamedTuple):
    samples: Array
    codes: Array
    active_levels: Array
    first_stft_frame: Array  # of all crops: noise is a function of the place in a stream, and must not be learnt
    learning_rate: Array
    adversarial: np.bool_


def coded_sounds(codec: CompactCodec, sounds: Sequence[Float32[np.ndarray, "_ channels"]]) -> list[CodedSound]:
    """Pieces and their codes; pieces of equal length go through one compiled program."""
    return [CodedSound(sound, codec.encode(np.asarray(sound)[None])[0].astype(np.uint16)) for sound in sounds]


def decode_crop(
    config: CompactCodecConfig,
    params: Mapping[str, dict],
    quantized: Float[Array, "batch frames dim"],
    scaling: network.Statistics,
    first_stft_frame: Int[Array, ""] | int = -1,
) -> Float[Array, "batch samples channels"]:
    """Sound of a crop from silence on, all but its last frame; the same as CompactCodec.decode, but differentiable.

    Args:
      first_stft_frame: where in a stream the noise is taken from; -1 is the stream's start.
    """
    batch = quantized.shape[0]
    features = network.Decoder(config).apply({"params": params["decoder"]}, quantized, scaling)
    logs = bands.logs_of_features(config, features)
    logs = logs.reshape(batch, -1, *logs.shape[3:])
    silence = learned_phase.init_state(config, batch)._replace(stft_frame=jnp.asarray(first_stft_frame, jnp.int32))
    _, spectra = learned_phase.advance(config, params["phase"], silence, logs)
    return _overlap_add(config, spectra[:, :, 1:])[:, config.lead_samples :]


def _overlap_add(
    config: CompactCodecConfig, spectra: Complex[Array, "batch channels stft_frames bins"]
) -> Float[Array, "batch samples channels"]:
    """synthesis.step over a whole crop from STFT frame 0 on, differentiable; samples from -1440 on that are complete."""
    hop, size = config.hop_samples, config.window_samples
    pieces = jnp.fft.irfft(spectra, size) * bands.window(config)
    parts = -(-size // hop)
    pieces = jnp.pad(pieces, ((0, 0), (0, 0), (0, 0), (0, parts * hop - size)))
    pieces = pieces.reshape(*pieces.shape[:3], parts, hop)
    frames = spectra.shape[2]
    sums = sum(jnp.pad(pieces[:, :, : frames - part, part], ((0, 0), (0, 0), (part, 0), (0, 0))) for part in range(parts))
    steady, first = synthesis.gains(config)
    gains = np.tile(steady, (frames, 1))
    gains[config.lead_samples // hop] = first
    samples = (sums * gains).reshape(*sums.shape[:2], frames * hop)
    return jnp.moveaxis(samples, 1, 2)


def _make_step(
    config: CompactCodecConfig, training: DecoderTrainingConfig, frozen: _Frozen, *, adversarial: bool
) -> Callable:
    adversary, optimizer = Adversary(training), _optimizer(training)

    def loss(params: dict, state: DecoderTrainingState, batch: _Batch) -> tuple[Array, tuple[dict, Array, Array]]:
        quantized = _quantized(frozen.codebooks, batch.codes, batch.active_levels)
        # The first frame is heard from silence on, as no frame of a stream but the first is: it is left out.
        decoded = decode_crop(config, params, quantized, frozen.scaling, batch.first_stft_frame)[:, config.frame_samples :]
        target = batch.samples[:, config.frame_samples :][:, : decoded.shape[1]]
        total, parts = spectral_losses(training, decoded, target)
        if adversarial:
            verdict, verdict_parts = adversary.verdict(state.discriminator, decoded, target)
            total, parts = total + verdict, parts | verdict_parts
        return total, (parts, decoded, target)

    def step(state: DecoderTrainingState, batch: _Batch) -> tuple[DecoderTrainingState, dict[str, Array]]:
        grads, (metrics, decoded, target) = jax.grad(loss, has_aux=True)(state.params, state, batch)
        if adversarial:
            state, learnt = adversary.learn(state, decoded, target, batch.learning_rate)
            metrics |= learnt
        state, norms = codec_loop.descend(state, grads, optimizer, batch.learning_rate)
        return state, metrics | norms

    return jax.jit(step, donate_argnums=0)


def _optimizer(training: DecoderTrainingConfig) -> optax.GradientTransformation:
    # Wide and fitted maps move least, as in train/codec.py.
    sizes = [("^decoder/(principal|correction|input_map)", 0.1 * training.decoder_step_size)]
    return codec_loop.adam([*sizes, ("^decoder/", training.decoder_step_size)])


def _quantized(
    codebooks: Float[Array, "levels codebook_size dim"],
    codes: Int[Array, "batch frames levels"],
    active_levels: Int[Array, "batch"],
) -> Float[Array, "batch frames dim"]:
    """Sums of code vectors, each crop with levels of its own."""
    return jax.vmap(lambda crop, levels: quantizer.decode(codebooks, crop[None], levels)[0])(codes, active_levels)


class _DecoderTask:
    """The learned phase as codec_loop.CodecTask."""

    started = "decoder training starts from the trained codec, its phases turning on"

    def __init__(
        self,
        config: CompactCodecConfig,
        tensors: Mapping[str, np.ndarray],
        training: DecoderTrainingConfig,
        pieces: Sequence[CodedSound],
        seed: int,
    ) -> None:
        self._config, self.training, self._pieces, self._seed = config, training, pieces, seed
        self._kept = {name: value for name, value in tensors.items() if name.startswith(_FROZEN)}
        self._decoder = network.unflatten(tensors, "decoder")
        mean, deviation = (jnp.asarray(tensors[f"statistics/{name}"]) for name in ("mean", "deviation"))
        frozen = _Frozen(jnp.asarray(tensors["quantizer/codebooks"]), network.statistics(config, mean, deviation))
        self._steps = {flag: _make_step(config, training, frozen, adversarial=flag) for flag in (False, True)}

    def start(self) -> DecoderTrainingState:
        """See CodecTask."""
        params = {
            "decoder": jax.tree.map(jnp.array, self._decoder),
            "phase": learned_phase.init_params(self._config, jax.random.key(self._seed)),
        }
        judge = Adversary(self.training).init(
            self._seed, samples=self._config.frame_samples, channels=self._config.channels
        )
        return DecoderTrainingState(
            params=params,
            averaged=jax.tree.map(jnp.array, params),
            optimizer=_optimizer(self.training).init(params),
            discriminator=judge,
            discriminator_optimizer=codec_loop.adam().init(judge),
            step=jnp.zeros((), jnp.int32),
            elapsed_seconds=jnp.zeros(()),
        )

    def blank(self) -> DecoderTrainingState:
        """See CodecTask."""
        return self.start()

    def draw(self, step: int, progress: float) -> _Batch:
        """See CodecTask; a function of seed and step only (the learning rate also follows the time spent)."""
        training, config = self.training, self._config
        random = np.random.default_rng((self._seed, step))
        plan = codec_loop.plan_step(training, random, step=step, progress=progress, num_levels=config.num_levels)
        frames = training.crop_frames
        places = crop_starts(
            [min(len(piece.codes), len(piece.samples) // config.frame_samples) for piece in self._pieces],
            random, batch=training.batch, size=frames, unit="frames",
        )  # fmt: skip
        samples, codes = [], []
        for piece, start in places:
            first, last = start * config.frame_samples, (start + frames) * config.frame_samples
            samples.append(np.asarray(self._pieces[piece].samples[first:last], np.float32))
            codes.append(np.asarray(self._pieces[piece].codes[start : start + frames], np.int32))
        return _Batch(
            samples=np.stack(samples),
            codes=np.stack(codes),
            active_levels=plan.active_levels,
            first_stft_frame=np.int32(random.integers(1 << 20)),
            learning_rate=plan.learning_rate,
            adversarial=np.bool_(step >= training.adversarial_from_step),
        )

    def step(self, state: DecoderTrainingState, batch: _Batch) -> tuple[DecoderTrainingState, dict[str, Any]]:
        """See CodecTask."""
        return self._steps[bool(batch.adversarial)](state, batch)

    def tensors(self, state: DecoderTrainingState) -> dict[str, np.ndarray]:
        """See CodecTask; from the averaged weights."""
        trained = [network.flatten(state.averaged[part], part) for part in ("decoder", "phase")]
        return self._kept | trained[0] | trained[1]


def train_decoder(
    pieces: Sequence[CodedSound],
    config: CompactCodecConfig,
    tensors: Mapping[str, np.ndarray],
    *,
    seconds_budget: float,
    directory: str | Path,
    seed: int = 0,
    log: Callable[[str], None] = print,
    training: DecoderTrainingConfig | None = None,
) -> dict[str, np.ndarray]:
    """Trains a learned phase for a codec for a given time, or goes on with the training found in `directory`.

    Args:
      pieces: from `coded_sounds`, by the codec of `tensors`.
      config: the codec's, with phase="learned".
      tensors: of the trained codec, with or without a learned phase.
      seconds_budget, directory, log: as codec_loop.train takes them; it says what is raised as well.
    Returns:
      flat tensors for CompactCodec.from_tensors: encoder, codebooks and statistics as given, decoder and phase trained.
    Raises:
      ValueError: if the config's phase is not the learned one, or the pieces are shorter than a crop.
    """
    if config.phase != "learned":
        raise ValueError(f"got phase={config.phase!r}, expected 'learned'; use dataclasses.replace(config, phase='learned')")
    task = _DecoderTask(config, tensors, training or DecoderTrainingConfig(), pieces, seed)
    settings = {"model": config, "training": task.training, "seed": seed, "seconds_budget": seconds_budget}
    with RunRecord.begin(directory, settings, hash_arrays(piece.samples for piece in pieces), model="decoder"):
        return codec_loop.train(task, seconds_budget=seconds_budget, directory=directory, log=log)
