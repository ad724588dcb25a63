"""Synthetic sound, codecs fitted to it without any training, and the released codec's numbers where they are at hand."""

import dataclasses
import functools
import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.codec import Codec, CompactCodec, SpectroStream, SpectroStreamConfig, bands, spectrostream_config
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.codec import spectrostream_network as spectrostream
from magenta_rt_py.codec.network import unflatten
from magenta_rt_py.nn import quantizer
from magenta_rt_py.nn.streaming import StreamingLayer
from magenta_rt_py.testing import check_streaming
from magenta_rt_py.train.codec_features import fit_start


def make_sound(seed: int, seconds: float = 2.4) -> np.ndarray:
    """Chords, a little noise and a hit every half second; [samples, 2]."""
    random = np.random.default_rng(seed)
    count = int(48_000 * seconds)
    time = np.arange(count) / 48_000
    sound = 0.003 * random.standard_normal((count, 2))
    for start in range(0, count, 24_000):
        length = min(24_000, count - start)
        decay = np.exp(-time[:length] * 6)
        for _ in range(3):
            tone = np.sin(2 * np.pi * random.uniform(100, 4000) * time[:length]) * decay
            sound[start : start + length] += 0.2 * tone[:, None] * random.uniform(0.3, 1.0, 2)
        sound[start : start + length] += 0.1 * random.standard_normal((length, 2)) * np.exp(-time[:length, None] * 60)
    return sound.astype(np.float32)


def make_tone(frequency_hz: float, seconds: float = 0.8) -> np.ndarray:
    """A steady tone, equal left and right."""
    time = np.arange(int(48_000 * seconds)) / 48_000
    return np.repeat(0.3 * np.sin(2 * np.pi * frequency_hz * time)[:, None], 2, axis=1).astype(np.float32)


@pytest.fixture(scope="session")
def config():
    """Tiny, with a bin for every band up to 4 kHz so that it can place a tone."""
    return dataclasses.replace(codec_config.tiny(), linear_bands_to_hz=3200.0, latent_dim=48, codebook_size=64)


@pytest.fixture(scope="session")
def features(config):
    """Of four sounds, of three tones and of silence, so that the codebooks know them."""
    sounds = [make_sound(seed) for seed in range(4)] + [make_tone(hz) for hz in (330.0, 1234.0, 3010.0)]
    sounds.append(np.zeros((48_000, 2), np.float32))
    return [bands.stored_features(bands.band_energies(config, sound[None]))[0] for sound in sounds]


@pytest.fixture(scope="session")
def tensors(config, features):
    return fit_start(config, features, seed=0)


@pytest.fixture(scope="session")
def codec(config, tensors):
    return CompactCodec.from_tensors(config, tensors)


@pytest.fixture(scope="session")
def sound():
    return make_sound(9)


@pytest.fixture(scope="session")
def tone():
    """The function make_tone."""
    return make_tone


def check_decoding(codec: Codec, codes: np.ndarray) -> None:
    """Decoding in pieces gives the samples of the whole, bit for bit."""
    layer = StreamingLayer(
        whole=codec.decode,
        init_state=codec.init_decode_state,
        step=codec.decode_step,
        outputs_per_input=1920,
        delay_outputs=1920 * codec.decode_latency_frames,
        lookahead_inputs=codec.decode_latency_frames,
    )
    check_streaming(layer, codes, others=(codes + 1) % codec.codebook_size, tolerance=0.0)


@pytest.fixture(scope="session")
def decoding():
    """The function check_decoding."""
    return check_decoding


def check_streams(codec: Codec, codes: np.ndarray) -> None:
    """Streams at different points, with different frames and levels, are decoded together as each alone.

    Args:
      codec: the codec.
      codes: at least 21 frames of one stream.
    """
    cuts = {0: (0, 5), 2: (3, 14), 3: (9, 10)}  # place: (frames before, end)
    levels = {0: codes.shape[2], 2: 2, 3: codes.shape[2]}

    def starting() -> dict:
        begun = {place: codec.init_decode_state(1) for place in cuts}
        return {
            place: codec.decode_step(state, codes[:, : cuts[place][0]])[0] if cuts[place][0] else state
            for place, state in begun.items()
        }

    def wish(states: dict, lengths: dict) -> dict:
        return {place: (states[place], codes[:, first:last, : levels[place]]) for place, (first, last) in lengths.items()}

    whole = codec.decode_streams(wish(starting(), cuts), width=4)
    assert set(whole) == set(cuts)
    for place, (state, news) in wish(starting(), cuts).items():
        after, samples = codec.decode_step(state, news)
        assert whole[place][1].shape == samples.shape
        # Another width is another program and may round otherwise, by parts in a million.
        assert np.abs(whole[place][1] - samples).mean() < 1e-5 * max(1.0, np.abs(samples).max())
        _, after_whole = codec.decode_step(whole[place][0], codes[:, -7:])
        assert np.abs(after_whole - codec.decode_step(after, codes[:, -7:])[1]).mean() < 1e-4
    # At the same place of the same width, how a stream is cut and who else is there makes no difference at all.
    states, pieces = starting(), {place: [] for place in cuts}
    for first in range(0, 14, 4):
        pieces_now = {
            place: (max(start, first), min(end, first + 4))
            for place, (start, end) in cuts.items()
            if max(start, first) < min(end, first + 4)
        }
        for place, (state, samples) in codec.decode_streams(wish(states, pieces_now), width=4).items():
            states[place] = state
            pieces[place].append(samples)
    for place in cuts:
        np.testing.assert_array_equal(np.concatenate(pieces[place], axis=1), whole[place][1])
    with pytest.raises(ValueError, match="give 0 to 2"):
        codec.decode_streams(wish(starting(), cuts), width=3)
    assert codec.decode_streams({}, width=4) == {}


@pytest.fixture(scope="session")
def decoding_streams():
    """The function check_streams(codec, codes)."""
    return check_streams


@pytest.fixture(scope="session")
def make():
    """The function make_sound."""
    return make_sound


class SpectroStreamCase(NamedTuple):
    """A codec with known results.

    Attributes:
      config: its sizes.
      tensors: its parameters.
      data: inputs and results by name.
    """

    config: SpectroStreamConfig
    tensors: dict
    data: dict


@pytest.fixture(scope="session")
def spectrostream_cases(oracle_folder) -> list[SpectroStreamCase]:
    """The released code's narrow codec; empty where its numbers are not at hand.

    The tests of the layers, which are always there, hold the same equations against plain sums.
    """
    if oracle_folder is None:
        return []
    with np.load(oracle_folder / "codec_small.npz") as stored:
        arrays = dict(stored)
    config = dataclasses.replace(spectrostream_config.tiny(), num_levels=6, codebook_size=32)
    tensors = {name.removeprefix("param:"): value for name, value in arrays.items() if name.startswith("param:")}
    return [SpectroStreamCase(config, tensors, {k: v for k, v in arrays.items() if not k.startswith("param:")})]


@pytest.fixture(scope="session")
def released_codec_shapes(oracle_folder) -> dict | None:
    """Names and shapes of the released codec's parameters; None where they are not at hand."""
    if oracle_folder is None:
        return None
    return json.loads((oracle_folder / "codec_param_tree_full.json").read_text())


@pytest.fixture(scope="session")
def spectrostream_tensors():
    """Random nets; codebooks of what they make of a sound, so that all codes are in use."""
    config = dataclasses.replace(spectrostream_config.tiny(), num_levels=64, codebook_size=16)
    tensors, random = spectrostream.random_tensors(config, seed=3), np.random.default_rng(4)
    for name in tensors:
        if name.endswith("bias"):
            tensors[name] = 0.1 * random.standard_normal(tensors[name].shape).astype(np.float32)
    sound = make_sound(11)[None, : 1920 * 40]
    encoder = unflatten(tensors, "encoder")
    encode = jax.jit(functools.partial(spectrostream.encode_latents, config))
    residual = np.asarray(encode(encoder, jnp.asarray(sound)))[0]
    books = []
    for _ in range(config.num_levels):
        books.append(residual[random.choice(len(residual), config.codebook_size)] * 0.6)
        codes = np.asarray(quantizer.encode(jnp.asarray(books[-1][None]), jnp.asarray(residual)))[:, 0]
        residual = residual - books[-1][codes]
    return config, tensors | {spectrostream.CODEBOOKS: np.stack(books)}


@pytest.fixture(scope="session")
def spectrostream_codec(spectrostream_tensors):
    return SpectroStream.from_tensors(*spectrostream_tensors)
