"""SpectroStream as a codec: streams, levels, refusals, and the released stateless decoding."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.codec import CompactCodec, SpectroStream, codec_from_tensors, spectrostream, spectrostream_config
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.codec import spectrostream_network as network
from magenta_rt_py.codec.network import unflatten
from magenta_rt_py.nn.streaming import StreamingLayer
from magenta_rt_py.testing import check_streaming, random_codec_tensors


@pytest.fixture(scope="module")
def codec(spectrostream_codec):
    return spectrostream_codec


@pytest.fixture(scope="module")
def codes(codec, sound):
    return codec.encode(sound[None, : 1920 * 27])


def test_encoding_streams_to_the_same_codes(codec, sound, make):
    """Equal to the last bit: a frame always stands at the same place of the same program."""
    layer = StreamingLayer(
        whole=codec.encode,
        init_state=codec.init_encode_state,
        step=codec.encode_step,
        inputs_per_output=1920,
        lookahead_inputs=codec.encode_lookahead_samples,
    )
    assert codec.encode_lookahead_samples == 480
    samples = sound[None, : 1920 * 23 + 700]
    check_streaming(layer, samples, others=make(77)[None, : samples.shape[1]], small_piece=700, tolerance=0.0)


def test_frame_n_sees_samples_up_to_1920_n_plus_2399(codec, sound):
    samples = sound[None, : 1920 * 12].copy()
    latents = codec.encode_latents(samples)
    last = 1920 * 5 + 2399
    samples[0, last + 1 :] = 0.5
    np.testing.assert_array_equal(codec.encode_latents(samples)[:, :6], latents[:, :6])
    samples[0, last] += 0.5
    assert not np.array_equal(codec.encode_latents(samples)[:, 5], latents[:, 5])
    np.testing.assert_array_equal(codec.encode_latents(samples)[:, :5], latents[:, :5])


def test_decoding_streams_to_the_same_samples(codec, codes, decoding):
    decoding(codec, codes)


def test_several_streams_are_decoded_together_as_alone(codec, codes, decoding_streams):
    decoding_streams(codec, codes)


def test_the_first_frame_of_a_decoded_stream_is_silent(codec, codes):
    _, samples = codec.decode_step(codec.init_decode_state(1), codes[:, :3])
    assert samples.shape == (1, 3 * 1920, 2)
    assert not samples[:, :1920].any() and np.abs(samples[:, 1920:]).max() > 1e-3


def test_one_program_serves_pieces_of_every_length(codec, codes, sound):
    programs = (spectrostream._encode_block, spectrostream._decode_block)
    codec.encode(sound[None, :1920])
    codec.decode(codes[:, :1])
    before = [program._cache_size() for program in programs]
    for frames in (1, 7, 10, 27):
        codec.encode(sound[None, : 1920 * frames - 3])
        codec.decode(codes[:, :frames, : frames + 1])
    assert [program._cache_size() for program in programs] == before


def test_the_released_chunk_and_its_codes_come_out(spectrostream_cases):
    for config, tensors, data in spectrostream_cases:
        codec = SpectroStream.from_tensors(config, tensors)
        np.testing.assert_array_equal(codec.encode(data["waveform"]), data["codes"])
        np.testing.assert_allclose(codec.encode_latents(data["waveform"]), data["embeddings"], atol=5e-6)
        decoded = codec.decode(data["codes"])
        np.testing.assert_allclose(decoded[:, :-1920], data["recon_from_codes"], atol=2e-6)
        # The last frame as in recon_padded: with zeros for what comes after (test_spectrostream_network holds the zeros
        # against the released numbers, which were made from unquantized latents).
        quantized = sum(codec.code_vectors[level][data["codes"][..., level]] for level in range(config.num_levels))
        padded = jnp.asarray(np.pad(quantized, ((0, 0), (0, 1), (0, 0))))
        decode = jax.jit(functools.partial(network.decode_quantized, config))
        expected = decode(unflatten(tensors, "decoder"), padded)
        assert decoded.shape == expected.shape == data["recon_padded"].shape
        np.testing.assert_allclose(decoded, expected, atol=2e-6)
        state, pieces = codec.init_decode_state(1), []
        for start, stop in ((0, 3), (3, 4), (4, 8)):
            state, piece = codec.decode_step(state, data["codes"][:, start:stop])
            pieces.append(piece)
        np.testing.assert_allclose(np.concatenate(pieces, axis=1)[:, 1920:], data["recon_from_codes"], atol=2e-6)


@pytest.mark.parametrize("levels", [1, 16, 64])
def test_any_leading_levels_decode_as_if_the_others_were_nothing(codec, spectrostream_tensors, codes, levels):
    config, tensors = spectrostream_tensors
    silenced = tensors["quantizer/embedding"].copy()
    silenced[levels:] = 0.0
    shorter = SpectroStream.from_tensors(config, tensors | {"quantizer/embedding": silenced})
    np.testing.assert_array_equal(codec.decode(codes[..., :levels]), shorter.decode(codes))
    assert levels == 64 or not np.array_equal(codec.decode(codes), shorter.decode(codes))


def test_more_levels_come_closer(codec, sound):
    latents, codes = codec.encode_latents(sound[None, : 1920 * 20]), codec.encode(sound[None, : 1920 * 20])
    errors = []
    for levels in (1, 8, 64):
        vectors = sum(codec.code_vectors[level][codes[..., level]] for level in range(levels))
        errors.append(((latents - vectors) ** 2).mean())
    assert errors[0] > errors[1] > errors[2]


def test_a_batch_is_its_items(codec, sound, make):
    both = np.stack([sound[:19_200], make(5)[:19_200]])
    latents = codec.encode_latents(both)
    # Another batch size is another program and may round otherwise.
    np.testing.assert_allclose(latents[1:], codec.encode_latents(both[1:]), atol=1e-4 * np.abs(latents).max())
    codes = codec.encode(both)
    decoded = codec.decode(codes)
    np.testing.assert_allclose(decoded[1:], codec.decode(codes[1:]), atol=1e-5 * max(1.0, np.abs(decoded).max()))


@pytest.mark.parametrize("samples", [0, 1, 1919, 1920, 1921])
def test_frames_are_rounded_up(codec, sound, samples):
    codes = codec.encode(sound[None, :samples])
    assert codes.shape == (1, -(-samples // 1920), 64) and codes.dtype == np.int32
    assert codec.decode(codes).shape == (1, codes.shape[1] * 1920, 2)


def test_tensors_go_back(codec, spectrostream_tensors, sound):
    config, tensors = spectrostream_tensors
    again = SpectroStream.from_tensors(config, codec.to_tensors())
    assert again.to_tensors().keys() == tensors.keys()
    np.testing.assert_array_equal(again.encode(sound[None, :9600]), codec.encode(sound[None, :9600]))
    np.testing.assert_array_equal(again.code_vectors, tensors["quantizer/embedding"])


def test_tensors_that_do_not_fit_are_refused(spectrostream_tensors):
    config, tensors = spectrostream_tensors
    missing = "encoder/bottleneck/conv2d_3x3/conv/bias"
    short = {name: value for name, value in tensors.items() if name != missing}
    with pytest.raises(ValueError, match=rf"got nothing for tensor '{missing}', expected \(32,\); take"):
        SpectroStream.from_tensors(config, short)
    with pytest.raises(ValueError, match=rf"got nothing for tensor '{missing}', expected \(32,\) \(and 1 more\)"):
        SpectroStream.from_tensors(config, short | {"more": np.zeros(2)})
    with pytest.raises(ValueError, match=r"got \(2,\) for tensor 'more', expected nothing"):
        SpectroStream.from_tensors(config, tensors | {"more": np.zeros(2)})


def test_what_is_no_sound_and_what_are_no_codes_is_refused(codec, codes):
    with pytest.raises(ValueError, match="pass stereo"):
        codec.encode(np.zeros((1, 1920, 1), np.float32))
    with pytest.raises(ValueError, match="NaN or infinite"):
        codec.encode_step(codec.init_encode_state(1), np.full((1, 1920, 2), np.nan, np.float32))
    with pytest.raises(ValueError, match=r"expected \(1, frames, 1 to 64\)"):
        codec.decode(codes[..., :0])
    with pytest.raises(ValueError, match="expected 0 to 15"):
        codec.decode(codes + 1000)
    with pytest.raises(ValueError, match=r"expected \(2, frames"):
        codec.decode_step(codec.init_decode_state(2), codes)


def test_states_hold_arrays_only(codec):
    for state in (codec.init_encode_state(2), codec.init_decode_state(2)):
        assert all(isinstance(leaf, np.ndarray | jax.Array) for leaf in jax.tree.leaves(state))


def test_the_kind_says_which_codec_a_bundle_holds(spectrostream_tensors):
    config, tensors = spectrostream_tensors
    assert isinstance(codec_from_tensors(config.to_dict(), tensors), SpectroStream)
    compact = codec_config.tiny()
    fields, numbers = dataclasses.asdict(compact), random_codec_tensors(compact)
    for given in (fields, fields | {"kind": "compact"}):
        assert isinstance(codec_from_tensors(given, numbers), CompactCodec)
    with pytest.raises(ValueError, match="got a codec of kind 'other'"):
        codec_from_tensors({"kind": "other"}, tensors)
    assert spectrostream_config.tiny().frame_samples == compact.frame_samples
