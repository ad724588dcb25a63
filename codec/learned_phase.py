"""Phase by a small net that chooses, bin by bin, where a phase comes from: the learned alternative to phase.py.

The gradients of phase are known from the magnitudes (phase.py); what the algorithm decides by loudness alone, a net decides
here from the sound around. A bin's phase points along the weighted sum of four unit vectors:

    past      its own phase one STFT frame ago, turned on by the gradient along time
    attack    the gradient along frequency summed up from 0 Hz: bins of one attack agree with each other
    noise     random, the same left and right
    own noise random, different left and right

The net (causal ConvNeXt blocks at 100 Hz, one STFT frame of look-ahead, the same weights for left and right) gives the four
weights, a correction of the gradient along time and one of the magnitude, a set for every band. Before training the past
wins below the jittered bins and own noise above, which already is a sound; trained it is on sound, with discriminators
(train/codec_decoder.py), while encoder and codebooks stay as they are, so that codes keep their meaning.

Source: our own; gradients as in phase.py, blocks as in network.py.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Complex64, Float, Float32, Int, Int32

from magenta_rt_py.codec import bands, phase
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.codec.network import BlockStates, ConvNeXtBlock, step_blocks
from magenta_rt_py.nn.cores import ONE_CORE

SOURCES = 4  # past, attack, noise, own noise
OUTPUTS = SOURCES + 2  # and the corrections of time gradient and log magnitude
_BLOCK_STFT_FRAMES = 64  # the net always runs on so many, padded (compact.py says why)
_LARGEST_TURN = 0.25  # turns a hop by which the gradient along time can be corrected
_LARGEST_LOG = 1.0  # by which a log magnitude can be corrected
_PAST_BIAS, _NOISE_BIAS = 3.0, 3.0  # weights (before the softmax) that the start gives below and above the jitter
_UNLIKELY_BIAS = -2.0  # what it gives both noises below
_LOG_CENTRE, _LOG_SPREAD = -1.0, 3.0  # of log magnitudes, roughly: what brings the net's input to order 1
_JITTER_GAIN = float(np.exp(0.5 * np.euler_gamma))  # keeps the mean log level of jittered magnitudes
_TINY = 1e-6


class LearnedPhaseState(NamedTuple):
    """What the next STFT frame needs of the last two; the present one waits for its successor.

    logs_before, logs_now: band log magnitudes of the STFT frame before the waiting one and of the waiting one.
    pointer: unit vector (cosine, sine) of every bin's phase in the one before.
    stft_frame: index of the waiting one.
    """

    blocks: BlockStates
    logs_before: Float[Array, "batch channels bands"]
    logs_now: Float[Array, "batch channels bands"]
    pointer: Float[Array, "batch channels bins 2"]
    stft_frame: Int32[Array, ""]


class PhaseNet(nn.Module):
    """What decides the sources; left and right are rows of its batch."""

    config: CompactCodecConfig

    def setup(self) -> None:
        self.input_map = nn.Dense(self.config.phase_dim)
        self.blocks = [
            ConvNeXtBlock(self.config.phase_dim, self.config.mlp_ratio, self.config.kernel_frames)
            for _ in range(self.config.phase_blocks)
        ]
        small = nn.initializers.variance_scaling(4e-4, "fan_in", "normal")
        self.outputs = nn.Dense(OUTPUTS * bands.band_count(self.config), kernel_init=small, bias_init=self._bias)

    def _bias(self, key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        """Past below the jittered bins, own noise above."""
        del key
        edges_hz = bands.band_edges(self.config) * self.config.sample_rate / self.config.window_samples
        noisy = edges_hz >= self.config.jitter_above_hz
        bias = np.zeros((bands.band_count(self.config), OUTPUTS), np.float32)
        bias[:, 0] = np.where(noisy, 0.0, _PAST_BIAS)
        bias[:, 2] = np.where(noisy, 0.0, _UNLIKELY_BIAS)
        bias[:, 3] = np.where(noisy, _NOISE_BIAS, _UNLIKELY_BIAS)
        return jnp.asarray(bias.reshape(shape), dtype)

    def step(
        self,
        state: BlockStates,
        now: Float[Array, "rows stft_frames bands"],
        after: Float[Array, "rows stft_frames bands"],
        other: Float[Array, "rows stft_frames bands"],
        valid_frames: Int[Array, ""] | int | None = None,
    ) -> tuple[BlockStates, Float[Array, "rows stft_frames bands outputs"]]:
        """What it says of the waiting STFT frames, from this channel's logs now and after, and the other's now."""
        seen = jnp.concatenate([now, other], axis=-1) - _LOG_CENTRE
        hidden = self.input_map(jnp.concatenate([seen / _LOG_SPREAD, after - now], axis=-1))
        states, hidden = step_blocks(self.blocks, state, hidden, valid_frames)
        outputs = self.outputs(hidden)
        return states, outputs.reshape(*outputs.shape[:-1], bands.band_count(self.config), OUTPUTS)


def init_params(config: CompactCodecConfig, key: Array) -> dict:
    """Parameters before training."""
    rows = jnp.zeros((1, 1, bands.band_count(config)))
    init = jax.jit(functools.partial(PhaseNet(config).init, method="step"))
    return init(key, _no_past(config, 1), rows, rows, rows)["params"]


def tensor_shapes(config: CompactCodecConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of its tensors; none where phases are integrated."""
    if config.phase != "learned":
        return {}
    shapes = jax.eval_shape(functools.partial(init_params, config), jax.random.key(0))
    return {f"phase/{path}": leaf.shape for path, leaf in flax.traverse_util.flatten_dict(shapes, sep="/").items()}


def init_state(config: CompactCodecConfig, batch: int) -> LearnedPhaseState:
    """Silence before the first STFT frame."""
    silence = jnp.full((batch, config.channels, bands.band_count(config)), 0.5 * np.log(config.energy_floor))
    pointer = jnp.broadcast_to(jnp.array([1.0, 0.0]), (batch, config.channels, config.bins, 2))
    return LearnedPhaseState(
        _no_past(config, batch * config.channels), silence, silence, pointer, jnp.array(-1, jnp.int32)
    )


def _no_past(config: CompactCodecConfig, rows: int) -> BlockStates:
    shape = (rows, config.kernel_frames - 1, config.phase_dim)
    return tuple(jnp.zeros(shape) for _ in range(config.phase_blocks))


def advance(
    config: CompactCodecConfig,
    params: dict,
    state: LearnedPhaseState,
    band_logs: Float[Array, "batch stft_frames channels bands"],
    valid_frames: Int[Array, ""] | int | None = None,
) -> tuple[LearnedPhaseState, Complex[Array, "batch channels stft_frames bins"]]:
    """Spectra of the next STFT frames, one STFT frame late as phase.step gives them; differentiable.

    Args:
      valid_frames: STFT frames that count, from the first (at least one); None: all.
    """
    batch, frames, channels, count = band_logs.shape
    news = jnp.moveaxis(band_logs, 2, 1)
    logs = jnp.concatenate([state.logs_before[:, :, None], state.logs_now[:, :, None], news], axis=2)
    before, now, after = logs[:, :, :-2], logs[:, :, 1:-1], logs[:, :, 2:]

    def rows(part: Array) -> Array:
        return part.reshape(batch * channels, frames, count)

    blocks, said = PhaseNet(config).apply(
        {"params": params}, state.blocks, rows(now), rows(after), rows(now[:, ::-1]), valid_frames, method="step"
    )
    said = said.reshape(batch, channels, frames, count, OUTPUTS)[..., bands.band_of_bin(config), :]
    numbers = state.stft_frame + jnp.arange(frames)
    magnitudes, turned, fixed = _sources(config, (before, now, after), said, numbers)

    def turn(pointer: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        onwards, other = now  # the turn of one hop, weighted; and the sum of the other sources
        cosine = pointer[..., 0] * onwards[..., 0] - pointer[..., 1] * onwards[..., 1] + other[..., 0]
        sine = pointer[..., 0] * onwards[..., 1] + pointer[..., 1] * onwards[..., 0] + other[..., 1]
        length = jax.lax.rsqrt(cosine**2 + sine**2 + _TINY)
        pointer = jnp.stack([cosine * length, sine * length], axis=-1)
        return pointer, pointer

    _, pointers = jax.lax.scan(turn, state.pointer, (jnp.moveaxis(turned, 2, 0), jnp.moveaxis(fixed, 2, 0)))
    valid = frames if valid_frames is None else valid_frames
    kept = jax.lax.dynamic_index_in_dim(pointers, valid - 1, keepdims=False)
    last = jax.lax.dynamic_slice_in_dim(logs, valid, 2, axis=2)
    pointers = jnp.moveaxis(pointers, 0, 2)
    spectra = magnitudes * jax.lax.complex(pointers[..., 0], pointers[..., 1])
    return LearnedPhaseState(blocks, last[:, :, 0], last[:, :, 1], kept, state.stft_frame + valid), spectra


def _sources(
    config: CompactCodecConfig,
    logs: tuple[Array, Array, Array],
    said: Float[Array, "batch channels stft_frames bins outputs"],
    numbers: Int[Array, "stft_frames"],
) -> tuple[
    Float[Array, "batch channels stft_frames bins"],
    Float[Array, "batch channels stft_frames bins 2"],
    Float[Array, "batch channels stft_frames bins 2"],
]:
    """Magnitudes; the weighted turn of the past; the weighted sum of the other three sources."""
    tables = phase.make_tables(config)
    band_of_bin = bands.band_of_bin(config)
    before, now, after = (jnp.log(_magnitudes(config, part) + _TINY)[..., band_of_bin] for part in logs)
    common, own, jitter = _random(config, numbers)

    slope = _slope(now) + _slope(before)
    along_time = jnp.asarray(tables.advance_turns, jnp.float32) + 0.5 * tables.time_scale * slope
    along_time = along_time + _LARGEST_TURN * jnp.tanh(said[..., SOURCES])
    along_frequency = tables.frequency_scale * (after - before) - 0.5
    middle = 0.5 * (along_frequency[..., 1:] + along_frequency[..., :-1])
    attack = jnp.pad(jnp.cumsum(middle, axis=-1), ((0, 0),) * (middle.ndim - 1) + ((1, 0),))

    weights = jax.nn.softmax(said[..., :SOURCES], axis=-1)[..., None]
    fixed = weights[..., 1, :] * _unit(attack) + weights[..., 2, :] * _unit(common) + weights[..., 3, :] * _unit(own)
    correction = _LARGEST_LOG * jnp.tanh(said[..., SOURCES + 1])
    magnitudes = _magnitudes(config, logs[1])[..., band_of_bin] * jitter * jnp.exp(correction)
    return magnitudes, weights[..., 0, :] * _unit(along_time), fixed


def _magnitudes(config: CompactCodecConfig, logs: Float[Array, "*batch bands"]) -> Float[Array, "*batch bands"]:
    """Of decoded log magnitudes, their floor taken off."""
    energies = jnp.exp(2.0 * jnp.minimum(logs, phase.LOUDEST_LOG)) - config.energy_floor
    return jnp.sqrt(jnp.maximum(energies, phase.QUIETEST_ENERGY))


def _slope(logs: Float[Array, "*batch bins"]) -> Float[Array, "*batch bins"]:
    """Difference over two bins."""
    padded = jnp.pad(logs, ((0, 0),) * (logs.ndim - 1) + ((1, 1),), mode="edge")
    return padded[..., 2:] - padded[..., :-2]


def _unit(turns: Float[Array, "*batch"]) -> Float[Array, "*batch 2"]:
    angle = 2.0 * jnp.pi * (turns - jnp.round(turns))
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def _random(
    config: CompactCodecConfig, numbers: Int[Array, "stft_frames"]
) -> tuple[
    Float[Array, "stft_frames bins"], Float[Array, "channels stft_frames bins"], Float[Array, "channels stft_frames bins"]
]:
    """Random turns shared and not shared by the channels, and the jitter of the magnitudes: functions of the frame."""

    def of_frame(number: Array) -> Array:
        key = jax.random.fold_in(jax.random.key(0), number)
        return jax.random.uniform(key, (1 + 2 * config.channels, config.bins), minval=_TINY)

    draws = jnp.moveaxis(jax.vmap(of_frame)(numbers), 1, 0)
    common, own, chance = draws[0], draws[1 : 1 + config.channels], draws[1 + config.channels :]
    jittered = np.arange(config.bins) >= phase.make_tables(config).first_jittered_bin
    exponential = jnp.sqrt(-jnp.log(chance)) * _JITTER_GAIN
    return common, own, jnp.where(jittered, exponential, 1.0)


@functools.partial(jax.jit, static_argnums=0, compiler_options=ONE_CORE)
def _advance_block(
    config: CompactCodecConfig,
    params: dict,
    state: LearnedPhaseState,
    band_logs: Float[Array, "batch stft_frames channels bands"],
    valid_frames: Int[Array, ""],
) -> tuple[LearnedPhaseState, Complex[Array, "batch channels stft_frames bins"]]:
    return advance(config, params, state, band_logs, valid_frames)


def step(
    config: CompactCodecConfig,
    params: dict,
    state: LearnedPhaseState,
    band_logs: Float32[np.ndarray, "batch stft_frames channels bands"],
) -> tuple[LearnedPhaseState, Complex64[np.ndarray, "batch channels stft_frames bins"]]:
    """As phase.step: spectra of the next STFT frames, one STFT frame late."""
    batch, frames, channels, count = band_logs.shape
    pieces = [np.zeros((batch, channels, 0, config.bins), np.complex64)]
    for start in range(0, frames, _BLOCK_STFT_FRAMES):
        valid = min(_BLOCK_STFT_FRAMES, frames - start)
        block = np.zeros((batch, _BLOCK_STFT_FRAMES, channels, count), np.float32)
        block[:, :valid] = band_logs[:, start : start + valid]
        state, spectra = _advance_block(config, params, state, block, np.int32(valid))
        pieces.append(np.asarray(spectra)[:, :, :valid])
    return state, np.concatenate(pieces, axis=2)
