"""The compact codec: learned log-magnitude bands, residual quantization, algorithmic phase."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int32

from magenta_rt_py.codec import bands, network, phase, synthesis
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.codec.interface import Codec
from magenta_rt_py.nn import quantizer
from magenta_rt_py.nn.cores import ONE_CORE

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
    phase: phase.PhaseState
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
    return state, latents, quantizer.encode(parameters.codebooks, latents)


@functools.partial(jax.jit, static_argnums=0, compiler_options=ONE_CORE)
def _decode_block(
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
        self._phase_tables = phase.make_tables(config)

    @classmethod
    def from_tensors(cls, config: CompactCodecConfig, tensors: Mapping[str, np.ndarray]) -> "CompactCodec":
        """A codec from flat tensors by slash path (network.tensor_shapes names them all).

        Raises:
          ValueError: if a tensor is missing, unknown or of the wrong shape.
        """
        expected = network.tensor_shapes(config)
        for name in sorted(expected.keys() | tensors.keys()):
            got = tuple(np.shape(tensors[name])) if name in tensors else "nothing"
            if got != expected.get(name, "nothing"):
                raise ValueError(
                    f"got {got} for tensor {name!r}, expected {expected.get(name, 'nothing')}; "
                    "take the tensors and the config from the same bundle"
                )
        return cls(config, {name: np.asarray(value, np.float32) for name, value in tensors.items()})

    def to_tensors(self) -> dict[str, np.ndarray]:
        """The inverse of from_tensors."""
        return {
            **network.flatten(self._parameters.encoder, "encoder"),
            **network.flatten(self._parameters.decoder, "decoder"),
            "quantizer/codebooks": np.asarray(self._parameters.codebooks),
            "statistics/mean": np.asarray(self._parameters.scaling.mean),
            "statistics/deviation": np.asarray(self._parameters.scaling.deviation),
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
        self._check_samples(samples, state.samples.shape[0])
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
        self._check_samples(samples, samples.shape[0])
        frames = -(-samples.shape[1] // self.frame_samples)
        after = frames * self.frame_samples + self.encode_lookahead_samples - samples.shape[1]
        padded = np.pad(samples.astype(np.float32), ((0, 0), (0, after if frames else 0), (0, 0)))
        state, pieces = self.init_encode_state(samples.shape[0]), []
        size = _WHOLE_FRAMES * self.frame_samples
        for start in range(0, max(1, padded.shape[1]), size):
            state, codes = self.encode_step(state, padded[:, start : start + size])
            pieces.append(codes)
        return np.concatenate(pieces, axis=1)

    def init_decode_state(self, batch: int) -> DecodeState:
        """Silence before the first frame."""
        return DecodeState(
            network.Decoder(self.config).init_state(batch),
            phase.init_state(self.config, batch),
            synthesis.init_state(self.config, batch),
        )

    def decode_step(
        self, state: DecodeState, codes: Int[np.ndarray, "batch frames used_levels"]
    ) -> tuple[DecodeState, Float32[np.ndarray, "batch samples channels"]]:
        """See Codec.decode_step."""
        batch = state.synthesis.overlap.shape[0]
        self._check_codes(codes, batch)
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
            band_logs = np.asarray(logs)[:, :valid].reshape(batch, -1, self.channels, logs.shape[-1])
            phases, spectra = phase.step(self._phase_tables, state.phase, band_logs)
            overlap, samples = synthesis.step(self.config, state.synthesis, spectra)
            state = DecodeState(blocks, phases, overlap)
            pieces.append(samples)
        return state, np.concatenate(pieces, axis=1)

    def decode(
        self, codes: Int[np.ndarray, "batch frames used_levels"]
    ) -> Float32[np.ndarray, "batch samples channels"]:
        """See Codec.decode; the last frame's codes are held for the one frame by which the sound lags them."""
        self._check_codes(codes, codes.shape[0])
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

    def _check_samples(self, samples: np.ndarray, batch: int) -> None:
        if samples.ndim != 3 or samples.shape[0] != batch or samples.shape[2] != self.channels:
            raise ValueError(
                f"got samples of shape {samples.shape}, expected ({batch}, samples, {self.channels}); "
                "pass stereo with a leading batch axis, samples[None]"
            )
        if not np.issubdtype(samples.dtype, np.floating):
            raise ValueError(
                f"got samples of type {samples.dtype}, expected floats within -1..1; divide integers by full scale"
            )
        if not np.isfinite(samples).all():
            raise ValueError(
                "got samples that are NaN or infinite, expected finite numbers; replace them before encoding"
            )

    def _check_codes(self, codes: np.ndarray, batch: int) -> None:
        if codes.ndim != 3 or codes.shape[0] != batch or not 1 <= codes.shape[2] <= self.num_levels:
            raise ValueError(
                f"got codes of shape {codes.shape}, expected ({batch}, frames, 1 to {self.num_levels}); "
                "pass leading levels codes[..., :k] with a leading batch axis"
            )
        if not np.issubdtype(codes.dtype, np.integer):
            raise ValueError(f"got codes of type {codes.dtype}, expected integers; pass what encode gave")
        if codes.size and (codes.min() < 0 or codes.max() >= self.codebook_size):
            raise ValueError(
                f"got codes from {codes.min()} to {codes.max()}, expected 0 to {self.codebook_size - 1}; "
                "convert LM tokens to codes first (lm/vocabulary.py)"
            )
