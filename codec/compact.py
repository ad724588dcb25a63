"""The compact codec: learned log-magnitude bands, residual quantization, algorithmic phase."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int32

from magenta_rt_py.codec import bands, learned_phase, network, phase, synthesis
from magenta_rt_py.codec.checks import check_codes, check_samples, check_tensors
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.codec.interface import Codec, check_places
from magenta_rt_py.nn import quantizer
from magenta_rt_py.nn.cores import ONE_CORE
from magenta_rt_py.nn.streaming import step_streams

# The nets always run on blocks of this many frames, padded. One compiled program serves every piece of a stream, and
# whole equals streamed because a frame's numbers do not depend on its place in the block: all matrix products have a
# multiple of 16 rows, so no row goes through the code for remainders.
_BLOCK_FRAMES = 16
_WHOLE_FRAMES = 256  # frames of a whole recording analysed at once


class EncodeState(NamedTuple):
    """Sound that later frames still need (beginning 1440 samples before the next frame), and the net's past."""

    samples: Float32[np.ndarray, "batch samples channels"]
    blocks: network.BlockStates


class DecodeState(NamedTuple):
    """The net's past, the phase stage's and the unfinished overlap-add."""

    blocks: network.BlockStates
    phase: phase.PhaseState | learned_phase.LearnedPhaseState
    synthesis: synthesis.SynthesisState


class _Parameters(NamedTuple):
    encoder: dict
    decoder: dict
    codebooks: Float[Array, "levels codebook_size dim"]
    scaling: network.Statistics


@functools.partial(jax.jit, static_argnums=0, compiler_options=ONE_CORE)
def _encode_block(
    config: CompactCodecConfig,
    parameters: _Parameters,
    state: network.BlockStates,
    energies: Float[Array, "batch frames stft_frames channels bands"],
    valid_frames: Int[Array, ""],
) -> tuple[network.BlockStates, Float[Array, "batch frames dim"], Int[Array, "batch frames levels"]]:
    features = bands.features_of_energies(config, energies)
    state, latents = network.Encoder(config).apply(
        {"params": parameters.encoder}, state, features, parameters.scaling, valid_frames, method="step"
    )
    codes = quantizer.encode(
        parameters.codebooks, latents, beam=config.encode_beam, greedy_levels=config.greedy_levels
    )
    return state, latents, codes


def _block_logs(
    config: CompactCodecConfig,
    parameters: _Parameters,
    state: network.BlockStates,
    codes: Int[Array, "batch frames levels"],
    used_levels: Int[Array, ""],
    valid_frames: Int[Array, ""],
) -> tuple[network.BlockStates, Float[Array, "batch frames stft_frames channels bands"]]:
    quantized = quantizer.decode(parameters.codebooks, codes, used_levels)
    state, features = network.Decoder(config).apply(
        {"params": parameters.decoder}, state, quantized, parameters.scaling, valid_frames, method="step"
    )
    return state, bands.logs_of_features(config, features)


_decode_block = jax.jit(_block_logs, static_argnums=0, compiler_options=ONE_CORE)


@functools.partial(jax.jit, static_argnums=0, compiler_options=ONE_CORE)
def _decode_blocks(
    config: CompactCodecConfig,
    parameters: _Parameters,
    states: tuple[network.BlockStates, ...],
    codes: Int[Array, "streams 1 frames levels"],
    used_levels: Int[Array, "streams"],
    valid_frames: Int[Array, "streams"],
) -> tuple[tuple[network.BlockStates, ...], Float[Array, "streams 1 frames stft_frames channels bands"]]:
    """`_decode_block` of several streams."""
    return step_streams(functools.partial(_block_logs, config, parameters), states, codes, used_levels, valid_frames)


class CompactCodec(Codec):
    """A causal codec cheap enough to train and run on two CPU cores.

    Source: our own design. Bands to latents and back by small causal nets; residual quantization after SoundStream;
    phase by real-time phase gradient integration (codec/phase.py), which is what sets its sound.
    """

    decode_latency_frames = 1

    def __init__(self, config: CompactCodecConfig, tensors: Mapping[str, np.ndarray]) -> None:
        """See from_tensors."""
        self.config = config
        self.sample_rate, self.channels = config.sample_rate, config.channels
        self.frame_samples, self.num_levels = config.frame_samples, config.num_levels
        self.codebook_size = config.codebook_size
        self.encode_lookahead_samples = config.lookahead_samples
        mean, deviation = (jnp.asarray(tensors[f"statistics/{name}"]) for name in ("mean", "deviation"))
        self._parameters = _Parameters(
            encoder=network.unflatten(tensors, "encoder"),
            decoder=network.unflatten(tensors, "decoder"),
            codebooks=jnp.asarray(tensors["quantizer/codebooks"]),
            scaling=network.statistics(config, mean, deviation),
        )
        self._gain = tensors[network.GAIN]
        self._phase_parameters = network.unflatten(tensors, "phase")
        if config.phase == "learned":
            self._init_phase = functools.partial(learned_phase.init_state, config)
            self._phase_step = functools.partial(learned_phase.step, config, self._phase_parameters)
        else:
            self._init_phase = functools.partial(phase.init_state, config)
            self._phase_step = functools.partial(phase.step, phase.make_tables(config, self._gain))

    @classmethod
    def from_tensors(cls, config: CompactCodecConfig, tensors: Mapping[str, np.ndarray]) -> "CompactCodec":
        """A codec from flat tensors by slash path (network.tensor_shapes and learned_phase.tensor_shapes name them).

        Raises:
          ValueError: if a tensor is missing, unknown or of the wrong shape.
        """
        expected = network.tensor_shapes(config) | learned_phase.tensor_shapes(config)
        # Codecs from before the gain was measured have none.
        tensors = {network.GAIN: np.zeros(expected[network.GAIN])} | dict(tensors)
        check_tensors(expected, tensors)
        return cls(config, {name: np.asarray(value, np.float32) for name, value in tensors.items()})

    def to_tensors(self) -> dict[str, np.ndarray]:
        """The inverse of from_tensors."""
        return {
            **network.flatten(self._parameters.encoder, "encoder"),
            **network.flatten(self._parameters.decoder, "decoder"),
            **network.flatten(self._phase_parameters, "phase"),
            "quantizer/codebooks": np.asarray(self._parameters.codebooks),
            "statistics/mean": np.asarray(self._parameters.scaling.mean),
            "statistics/deviation": np.asarray(self._parameters.scaling.deviation),
            network.GAIN: self._gain,
        }

    @property
    def code_vectors(self) -> Float32[np.ndarray, "levels codebook_size dim"]:
        """What the codes stand for: vectors that are summed over the levels."""
        return np.asarray(self._parameters.codebooks)

    def init_encode_state(self, batch: int) -> EncodeState:
        """Silence before the first sample."""
        samples = np.zeros((batch, self.config.lead_samples, self.channels), np.float32)
        return EncodeState(samples, network.Encoder(self.config).init_state(batch))

    def encode_step(
        self, state: EncodeState, samples: Float[np.ndarray, "batch samples channels"]
    ) -> tuple[EncodeState, Int32[np.ndarray, "batch frames levels"]]:
        """See Codec.encode_step."""
        check_samples(self, samples, state.samples.shape[0])
        known = np.concatenate([state.samples, samples.astype(np.float32)], axis=1)
        around = self.config.lead_samples + self.config.lookahead_samples
        frames = (known.shape[1] - around) // self.frame_samples
        if frames <= 0:
            return state._replace(samples=known), np.zeros((samples.shape[0], 0, self.num_levels), np.int32)
        energies = bands.windowed_energies(self.config, known[:, : around + frames * self.frame_samples], frames)
        blocks, _, codes = self._encode_energies(state.blocks, energies)
        return EncodeState(known[:, frames * self.frame_samples :].copy(), blocks), codes

    def encode(self, samples: Float[np.ndarray, "batch samples channels"]) -> Int32[np.ndarray, "batch frames levels"]:
        """See Codec.encode."""
        check_samples(self, samples, samples.shape[0])
        frames = -(-samples.shape[1] // self.frame_samples)
        after = frames * self.frame_samples + self.encode_lookahead_samples - samples.shape[1]
        padded = np.pad(samples.astype(np.float32), ((0, 0), (0, after if frames else 0), (0, 0)))
        state, pieces = self.init_encode_state(samples.shape[0]), []
        size = _WHOLE_FRAMES * self.frame_samples
        for start in range(0, max(1, padded.shape[1]), size):
            state, codes = self.encode_step(state, padded[:, start : start + size])
            pieces.append(codes)
        return np.concatenate(pieces, axis=1)

    def encode_energies(
        self, energies: Float[np.ndarray, "batch frames stft_frames channels bands"]
    ) -> Int32[np.ndarray, "batch frames levels"]:
        """Codes of a whole recording of which only the band energies are left (bands.band_energies)."""
        start = network.Encoder(self.config).init_state(energies.shape[0])
        return self._encode_energies(start, np.asarray(energies, np.float32))[2]

    def init_decode_state(self, batch: int) -> DecodeState:
        """Silence before the first frame."""
        return DecodeState(
            network.Decoder(self.config).init_state(batch),
            self._init_phase(batch),
            synthesis.init_state(self.config, batch),
        )

    def decode_step(
        self, state: DecodeState, codes: Int[np.ndarray, "batch frames used_levels"]
    ) -> tuple[DecodeState, Float32[np.ndarray, "batch samples channels"]]:
        """See Codec.decode_step."""
        batch = state.synthesis.overlap.shape[0]
        check_codes(self, codes, batch)
        frames, used_levels = codes.shape[1:]
        padded = np.zeros((batch, -(-frames // _BLOCK_FRAMES) * _BLOCK_FRAMES, self.num_levels), np.int32)
        padded[:, :frames, :used_levels] = codes
        pieces = [np.zeros((batch, 0, self.channels), np.float32)]
        for start in range(0, frames, _BLOCK_FRAMES):
            valid = min(_BLOCK_FRAMES, frames - start)
            block = padded[:, start : start + _BLOCK_FRAMES]
            blocks, logs = _decode_block(
                self.config, self._parameters, state.blocks, block, np.int32(used_levels), np.int32(valid)
            )
            state, samples = self._sound(state, blocks, np.asarray(logs)[:, :valid])
            pieces.append(samples)
        return state, np.concatenate(pieces, axis=1)

    def decode_streams(
        self, streams: Mapping[int, tuple[DecodeState, Int[np.ndarray, "1 frames used_levels"]]], *, width: int
    ) -> dict[int, tuple[DecodeState, Float32[np.ndarray, "1 samples channels"]]]:
        """See Codec.decode_streams; the nets run together, phases and synthesis one stream after the other."""
        check_places(streams, width)
        states, pieces = {}, {}
        for place, (state, codes) in streams.items():
            check_codes(self, codes, 1)
            states[place], pieces[place] = state, [np.zeros((1, 0, self.channels), np.float32)]
        longest = max((codes.shape[1] for _, codes in streams.values()), default=0)
        for start in range(0, longest, _BLOCK_FRAMES):
            here = [place for place, (_, codes) in streams.items() if codes.shape[1] > start]
            block = np.zeros((width, 1, _BLOCK_FRAMES, self.num_levels), np.int32)
            used_levels, valid = np.ones(width, np.int32), np.ones(width, np.int32)
            for place in here:
                news = streams[place][1][:, start : start + _BLOCK_FRAMES]
                valid[place], used_levels[place] = news.shape[1:]
                block[place, :, : news.shape[1], : news.shape[2]] = news
            filled = tuple(states[place if place in here else here[0]].blocks for place in range(width))
            blocks, logs = _decode_blocks(self.config, self._parameters, filled, block, used_levels, valid)
            logs = np.asarray(logs)
            for place in here:
                states[place], samples = self._sound(states[place], blocks[place], logs[place, :, : valid[place]])
                pieces[place].append(samples)
        return {place: (states[place], np.concatenate(pieces[place], axis=1)) for place in streams}

    def _sound(
        self,
        state: DecodeState,
        blocks: network.BlockStates,
        logs: Float32[np.ndarray, "batch frames stft_frames channels bands"],
    ) -> tuple[DecodeState, Float32[np.ndarray, "batch samples channels"]]:
        """The sound of log magnitudes, and the state after it; `blocks` is the net's."""
        band_logs = logs.reshape(logs.shape[0], -1, self.channels, logs.shape[-1])
        phases, spectra = self._phase_step(state.phase, band_logs)
        overlap, samples = synthesis.step(self.config, state.synthesis, spectra)
        return DecodeState(blocks, phases, overlap), samples

    def decode(
        self, codes: Int[np.ndarray, "batch frames used_levels"]
    ) -> Float32[np.ndarray, "batch samples channels"]:
        """See Codec.decode; the last frame's codes are held for the one frame by which the sound lags them."""
        check_codes(self, codes, codes.shape[0])
        _, samples = self.decode_step(
            self.init_decode_state(codes.shape[0]), np.concatenate([codes, codes[:, -1:]], axis=1)
        )
        return samples[:, self.decode_latency_frames * self.frame_samples :]

    def _encode_energies(
        self, state: network.BlockStates, energies: Float32[np.ndarray, "batch frames stft_frames channels bands"]
    ) -> tuple[network.BlockStates, Float32[np.ndarray, "batch frames dim"], Int32[np.ndarray, "batch frames levels"]]:
        """Latents and codes, block by block."""
        batch, frames = energies.shape[:2]
        latents = np.zeros((batch, frames, self.config.latent_dim), np.float32)
        codes = np.zeros((batch, frames, self.num_levels), np.int32)
        block = np.zeros((batch, _BLOCK_FRAMES, *energies.shape[2:]), np.float32)
        for start in range(0, frames, _BLOCK_FRAMES):
            valid = min(_BLOCK_FRAMES, frames - start)
            block[:, :valid] = energies[:, start : start + valid]
            state, block_latents, block_codes = _encode_block(
                self.config, self._parameters, state, block.copy(), np.int32(valid)
            )
            latents[:, start : start + valid] = np.asarray(block_latents)[:, :valid]
            codes[:, start : start + valid] = np.asarray(block_codes)[:, :valid]
        return state, latents, codes
