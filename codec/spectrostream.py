"""SpectroStream, the released codec: spectrogram, causal 2-D nets, 64 residual levels."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int32

from magenta_rt_py.codec import spectrostream_network as network
from magenta_rt_py.codec import spectrostream_spectrum as spectrum
from magenta_rt_py.codec.checks import check_codes, check_samples, check_tensors
from magenta_rt_py.codec.interface import Codec, check_places
from magenta_rt_py.codec.network import flatten, unflatten
from magenta_rt_py.codec.spectrostream_config import SpectroStreamConfig
from magenta_rt_py.codec.spectrostream_layers import Span
from magenta_rt_py.nn import quantizer
from magenta_rt_py.nn.streaming import step_streams

# The nets always run on blocks of this many frames, and frame n of a stream always stands at place n modulo it: one
# compiled program serves every piece, and a frame's numbers cannot depend on how the stream is cut. A chunk is five
# blocks and a hop of 0.4 s is one; a piece that does not begin on a block's border costs one block more.
_BLOCK_FRAMES = 10
_NO_CODE = -1  # a level or a frame without a vector


class SpectroStreamEncodeState(NamedTuple):
    """Where a stream being encoded stands.

    samples: sound from the next frame's start on.
    pasts: what the encoder's layers still need.
    frame: number of the next frame.
    """

    samples: Float32[np.ndarray, "batch samples channels"]
    pasts: tuple[Any, ...]
    frame: Int32[np.ndarray, ""]


class SpectroStreamDecodeState(NamedTuple):
    """Where a stream being decoded stands.

    pasts: what the decoder's layers still need.
    tail: the unfinished overlap-add.
    frame: number of the next frame of codes.
    """

    pasts: tuple[Any, ...]
    tail: Float[Array, "batch 1 hop channels"]
    frame: Int32[np.ndarray, ""]


class _Parameters(NamedTuple):
    encoder: dict
    decoder: dict
    codebooks: Float[Array, "levels codebook_size dim"]


@functools.partial(jax.jit, static_argnums=0)
def _encode_block(
    config: SpectroStreamConfig,
    parameters: _Parameters,
    pasts: tuple[Any, ...],
    samples: Float[Array, "batch samples channels"],
    start: Int[Array, ""],
    stop: Int[Array, ""],
) -> tuple[tuple[Any, ...], Float[Array, "batch frames dim"], Int[Array, "batch frames levels"]]:
    pasts, latents = network.Encoder(config).apply(
        {"params": parameters.encoder},
        pasts,
        spectrum.analyse(config, samples),
        Span(start, stop, _BLOCK_FRAMES),
        method="step",
    )
    with jax.default_matmul_precision("highest"):  # as in the layers: rounded distances would find other codes
        codes = quantizer.encode(parameters.codebooks, latents)
    return pasts, latents, codes


@functools.partial(jax.jit, static_argnums=0)
def _decode_block(
    config: SpectroStreamConfig,
    parameters: _Parameters,
    pasts: tuple[Any, ...],
    tail: Float[Array, "batch 1 hop channels"],
    codes: Int[Array, "batch frames levels"],
    start: Int[Array, ""],
    stop: Int[Array, ""],
    silent: Int[Array, ""],
) -> tuple[tuple[Any, ...], Float[Array, "batch 1 hop channels"], Float[Array, "batch samples channels"]]:
    """`silent` is the place in the block whose output lies before the start of the sound; -1: none."""
    vectors = parameters.codebooks[jnp.arange(config.num_levels), jnp.maximum(codes, 0)]
    quantized = jnp.where((codes == _NO_CODE)[..., None], 0.0, vectors).sum(2)
    span = Span(start, stop, codes.shape[1])
    pasts, spectrogram = network.Decoder(config).apply(
        {"params": parameters.decoder}, pasts, quantized, span, method="step"
    )
    place = jnp.arange(spectrogram.shape[1]) // config.stft_frames_per_frame
    spectrogram = jnp.where((place == silent)[:, None, None], 0.0, spectrogram)
    tail, samples = spectrum.synthesise(config, tail, spectrogram, span)
    return pasts, tail, samples


@functools.partial(jax.jit, static_argnums=0)
def _decode_blocks(
    config: SpectroStreamConfig,
    parameters: _Parameters,
    states: tuple[tuple[Any, Float[Array, "1 1 hop channels"]], ...],
    codes: Int[Array, "streams 1 frames levels"],
    starts: Int[Array, "streams"],
    stops: Int[Array, "streams"],
    silents: Int[Array, "streams"],
) -> tuple[tuple[tuple[Any, Float[Array, "1 1 hop channels"]], ...], Float[Array, "streams 1 samples channels"]]:
    """`_decode_block` of several streams; a state is pasts and tail."""

    def one(state: Any, *places: Array) -> Any:
        pasts, tail, samples = _decode_block(config, parameters, *state, *places)
        return (pasts, tail), samples

    return step_streams(one, states, codes, starts, stops, silents)


@functools.lru_cache(maxsize=16)
def _past_shapes(config: SpectroStreamConfig, batch: int) -> tuple[Any, Any]:
    """Shapes of the pasts of encoder and decoder."""
    params = jax.eval_shape(functools.partial(network.init_params, config), jax.random.key(0))
    frames = jax.ShapeDtypeStruct((batch, 1, config.latent_dim), np.float32)
    shape = (batch, config.stft_frames_per_frame, config.bins, 2 * config.channels)
    inputs = {"encoder": jax.ShapeDtypeStruct(shape, np.float32), "decoder": frames}
    nets = {"encoder": network.Encoder(config), "decoder": network.Decoder(config)}

    def pasts(part: str) -> Any:
        step = functools.partial(nets[part].apply, method="step")
        return jax.eval_shape(step, {"params": params[part]}, None, inputs[part])[0]

    return pasts("encoder"), pasts("decoder")


def _silence(shapes: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def _blocks(frame: int, count: int, block_frames: int) -> Iterator[tuple[int, int, int]]:
    """Cuts the next `count` frames at the borders of blocks: (frames before it, first place, place after the last)."""
    done = 0
    while done < count:
        start = (frame + done) % block_frames
        size = min(block_frames - start, count - done)
        yield done, start, start + size
        done += size


def _join(nothing: np.ndarray, pieces: list[tuple[Array | np.ndarray, int, int]]) -> np.ndarray:
    """What counts of each block, one after the other. Only here does the host wait for the device.

    Args:
      nothing: an array of no length, for when there is no block.
      pieces: blocks, each with its first place that counts and the place after the last.
    """
    return np.concatenate([nothing, *(np.asarray(block)[:, start:stop] for block, start, stop in pieces)], axis=1)


class SpectroStream(Codec):
    """The released codec's geometry, on JAX.

    Streamed and whole results are equal to the last bit, however a stream is cut: a frame always goes through the same
    program at the same place (see spectrostream_layers). Another batch size is another program and may round otherwise;
    then a code can differ where two vectors are equally near to within that rounding, and only there.

    Source: Live Music Models appendix C.1 and section 2.1; the geometry is the released one. Ours are the explicit
    states, which make the decoder go on where the released one, which is stateless, starts each chunk cold.
    """

    decode_latency_frames = 1

    def __init__(self, config: SpectroStreamConfig, tensors: Mapping[str, np.ndarray]) -> None:
        """See from_tensors."""
        self.config = config
        self.sample_rate, self.channels = config.sample_rate, config.channels
        self.frame_samples, self.num_levels = config.frame_samples, config.num_levels
        self.codebook_size = config.codebook_size
        self.encode_lookahead_samples = config.lookahead_samples
        self._parameters = _Parameters(
            encoder=unflatten(tensors, "encoder"),
            decoder=unflatten(tensors, "decoder"),
            codebooks=jnp.asarray(tensors[network.CODEBOOKS]),
        )

    @classmethod
    def from_tensors(cls, config: SpectroStreamConfig, tensors: Mapping[str, np.ndarray]) -> "SpectroStream":
        """A codec from flat tensors by slash path (spectrostream_network.tensor_shapes names them all).

        Raises:
          ValueError: if a tensor is missing, unknown or of the wrong shape.
        """
        check_tensors(network.tensor_shapes(config), tensors)
        return cls(config, {name: np.asarray(value, np.float32) for name, value in tensors.items()})

    def to_tensors(self) -> dict[str, np.ndarray]:
        """The inverse of from_tensors."""
        return {
            **flatten(self._parameters.encoder, "encoder"),
            **flatten(self._parameters.decoder, "decoder"),
            network.CODEBOOKS: np.asarray(self._parameters.codebooks),
        }

    @property
    def code_vectors(self) -> Float32[np.ndarray, "levels codebook_size dim"]:
        """What the codes stand for: vectors that are summed over the levels."""
        return np.asarray(self._parameters.codebooks)

    def init_encode_state(self, batch: int) -> SpectroStreamEncodeState:
        """Silence before the first sample."""
        samples = np.zeros((batch, 0, self.channels), np.float32)
        return SpectroStreamEncodeState(
            samples, _silence(_past_shapes(self.config, batch)[0]), np.zeros((), np.int32)
        )

    def encode_step(
        self, state: SpectroStreamEncodeState, samples: Float[np.ndarray, "batch samples channels"]
    ) -> tuple[SpectroStreamEncodeState, Int32[np.ndarray, "batch frames levels"]]:
        """See Codec.encode_step."""
        check_samples(self, samples, state.samples.shape[0])
        known = np.concatenate([state.samples, samples.astype(np.float32)], axis=1)
        frames = max(0, (known.shape[1] - self.encode_lookahead_samples) // self.frame_samples)
        state, _, codes = self._encode_frames(state, known, frames)
        return state._replace(samples=known[:, frames * self.frame_samples :].copy()), codes

    def encode(self, samples: Float[np.ndarray, "batch samples channels"]) -> Int32[np.ndarray, "batch frames levels"]:
        """See Codec.encode; the nets begin as the released codec's do, with zeros before the first frame."""
        return self._encode_whole(samples)[1]

    def encode_latents(
        self, samples: Float[np.ndarray, "batch samples channels"]
    ) -> Float32[np.ndarray, "batch frames dim"]:
        """What `encode` quantizes: the released codec's embeddings.

        Raises:
          ValueError: as `encode`.
        """
        return self._encode_whole(samples)[0]

    def init_decode_state(self, batch: int) -> SpectroStreamDecodeState:
        """Silence before the first frame."""
        tail = jnp.zeros((batch, 1, self.config.hop_samples, self.channels))
        return SpectroStreamDecodeState(
            _silence(_past_shapes(self.config, batch)[1]), tail, np.zeros((), np.int32)
        )

    def decode_step(
        self, state: SpectroStreamDecodeState, codes: Int[np.ndarray, "batch frames used_levels"]
    ) -> tuple[SpectroStreamDecodeState, Float32[np.ndarray, "batch samples channels"]]:
        """See Codec.decode_step."""
        check_codes(self, codes, state.tail.shape[0])
        return self._decode_frames(state, codes)

    def decode_streams(
        self, streams: Mapping[int, tuple[SpectroStreamDecodeState, Int[np.ndarray, "1 frames used_levels"]]], *, width: int
    ) -> dict[int, tuple[SpectroStreamDecodeState, Float32[np.ndarray, "1 samples channels"]]]:
        """See Codec.decode_streams."""
        check_places(streams, width)
        plans, pieces, states = {}, {}, {}
        for place, (state, codes) in streams.items():
            check_codes(self, codes, 1)
            plans[place] = list(_blocks(int(state.frame), codes.shape[1], _BLOCK_FRAMES))
            pieces[place], states[place] = [], (state.pasts, state.tail)
        for number in range(max((len(plan) for plan in plans.values()), default=0)):
            here = {place: plan[number] for place, plan in plans.items() if len(plan) > number}
            blocks = np.full((width, 1, _BLOCK_FRAMES, self.num_levels), _NO_CODE, np.int32)
            starts, stops, silents = np.zeros(width, np.int32), np.ones(width, np.int32), np.full(width, -1, np.int32)
            for place, (done, start, stop) in here.items():
                state, codes = streams[place]
                blocks[place, :, start:stop, : codes.shape[2]] = codes[:, done : done + stop - start]
                starts[place], stops[place] = start, stop
                silents[place] = 0 if int(state.frame) + done == 0 else -1
            filled = tuple(states[place if place in here else next(iter(here))] for place in range(width))
            made, samples = _decode_blocks(self.config, self._parameters, filled, blocks, starts, stops, silents)
            for place, (_, start, stop) in here.items():
                states[place] = made[place]
                pieces[place].append((samples, place, start * self.frame_samples, stop * self.frame_samples))
        answers = {}
        for place, (state, codes) in streams.items():
            pasts, tail = states[place]
            after = SpectroStreamDecodeState(pasts, tail, np.array(int(state.frame) + codes.shape[1], np.int32))
            own = [(np.asarray(block)[at], start, stop) for block, at, start, stop in pieces[place]]
            answers[place] = after, _join(np.zeros((1, 0, self.channels), np.float32), own)
        return answers

    def decode(
        self, codes: Int[np.ndarray, "batch frames used_levels"]
    ) -> Float32[np.ndarray, "batch samples channels"]:
        """See Codec.decode. This is the released, stateless decoding of a chunk.

        Zeros lie before the first frame, and a frame whose quantized latents are zero stands in for the one after the
        last: the last 40 ms are made without their look-ahead, which is why the released system only fades them out.
        """
        check_codes(self, codes, codes.shape[0])
        state, samples = self._decode_frames(self.init_decode_state(codes.shape[0]), codes)
        # No stream ever makes this last frame, so it need not stand in a block of the streams' size.
        after = np.full((codes.shape[0], 1, codes.shape[2]), _NO_CODE, np.int32)
        _, last = self._decode_frames(state, after, block_frames=1)
        return np.concatenate([samples, last], axis=1)[:, self.decode_latency_frames * self.frame_samples :]

    def _encode_whole(
        self, samples: Float[np.ndarray, "batch samples channels"]
    ) -> tuple[Float32[np.ndarray, "batch frames dim"], Int32[np.ndarray, "batch frames levels"]]:
        """Latents and codes."""
        check_samples(self, samples, samples.shape[0])
        frames = -(-samples.shape[1] // self.frame_samples)
        after = frames * self.frame_samples + self.encode_lookahead_samples - samples.shape[1]
        padded = np.pad(samples.astype(np.float32), ((0, 0), (0, after), (0, 0)))
        return self._encode_frames(self.init_encode_state(samples.shape[0]), padded, frames)[1:]

    def _encode_frames(
        self, state: SpectroStreamEncodeState, known: Float32[np.ndarray, "batch samples channels"], frames: int
    ) -> tuple[
        SpectroStreamEncodeState,
        Float32[np.ndarray, "batch frames dim"],
        Int32[np.ndarray, "batch frames levels"],
    ]:
        """Latents and codes of the next frames, block by block; `known` begins at the first and reaches far enough."""
        size, batch = self.frame_samples, known.shape[0]
        latents, codes, pasts = [], [], state.pasts
        for done, start, stop in _blocks(int(state.frame), frames, _BLOCK_FRAMES):
            block = np.zeros((batch, _BLOCK_FRAMES * size + self.encode_lookahead_samples, self.channels), np.float32)
            heard = known[:, done * size : (done + stop - start) * size + self.encode_lookahead_samples]
            block[:, start * size : start * size + heard.shape[1]] = heard
            pasts, *found = _encode_block(
                self.config, self._parameters, pasts, block, np.int32(start), np.int32(stop)
            )
            latents.append((found[0], start, stop))
            codes.append((found[1], start, stop))
        state = state._replace(pasts=pasts, frame=np.array(state.frame + frames, np.int32))
        no_latents = np.zeros((batch, 0, self.config.latent_dim), np.float32)
        no_codes = np.zeros((batch, 0, self.num_levels), np.int32)
        return state, _join(no_latents, latents), _join(no_codes, codes)

    def _decode_frames(
        self,
        state: SpectroStreamDecodeState,
        codes: Int[np.ndarray, "batch frames used_levels"],
        block_frames: int = _BLOCK_FRAMES,
    ) -> tuple[SpectroStreamDecodeState, Float32[np.ndarray, "batch samples channels"]]:
        """Sound of the next frames, block by block."""
        batch, frames, used_levels = codes.shape
        size, first = self.frame_samples, int(state.frame)
        pasts, tail, pieces = state.pasts, state.tail, []
        for done, start, stop in _blocks(first, frames, block_frames):
            block = np.full((batch, block_frames, self.num_levels), _NO_CODE, np.int32)
            block[:, start:stop, :used_levels] = codes[:, done : done + stop - start]
            silent = 0 if first + done == 0 else -1
            pasts, tail, samples = _decode_block(
                self.config, self._parameters, pasts, tail, block, np.int32(start), np.int32(stop), np.int32(silent)
            )
            pieces.append((samples, start * size, stop * size))
        state = SpectroStreamDecodeState(pasts, tail, np.array(first + frames, np.int32))
        return state, _join(np.zeros((batch, 0, self.channels), np.float32), pieces)
