import dataclasses

import numpy as np
import pytest

from magenta_rt_py.codec import CompactCodec, DecodeState, EncodeState
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.nn.streaming import StreamingLayer
from magenta_rt_py.testing import check_streaming, random_codec_tensors, tiny_codec


def test_encoding_streams_to_the_same_codes(codec, sound, make):
    blocks = codec.config.encoder_blocks
    layer = StreamingLayer(
        whole=codec.encode,
        init_state=codec.init_encode_state,
        step=codec.encode_step,
        inputs_per_output=1920,
        lookahead_inputs=codec.encode_lookahead_samples,
    )
    samples = sound[None, : 1920 * 28 + 700]
    others = make(77)[None, : samples.shape[1]]
    check_streaming(layer, samples, others=others, small_piece=700, tolerance=0.0)
    # The reach into the past: one window and the nets' taps.
    cut, past = 1920 * 10, 1440 + blocks * 6 * 1920
    changed = np.concatenate([others[:, :cut], samples[:, cut:]], axis=1)
    first = -(-(cut + past) // 1920)
    np.testing.assert_array_equal(codec.encode(changed)[:, first:], codec.encode(samples)[:, first:])


def test_decoding_streams_to_the_same_samples(codec, sound, decoding):
    decoding(codec, codec.encode(sound[None, : 1920 * 21]))


def test_several_streams_are_decoded_together_as_alone(codec, sound, decoding_streams):
    decoding_streams(codec, codec.encode(sound[None, : 1920 * 21]))


def test_a_batch_is_its_items(codec, sound, make):
    both = np.stack([sound[:19_200], make(5)[:19_200]])
    codes = codec.encode(both)
    np.testing.assert_array_equal(codes[1:], codec.encode(both[1:]))
    # Another batch size is another program and may round the magnitudes otherwise, by parts in a million.
    assert np.abs(codec.decode(codes)[1:] - codec.decode(codes[1:])).mean() < 1e-5


@pytest.mark.parametrize("samples", [0, 1, 1919, 1920, 1921])
def test_frames_are_rounded_up(codec, sound, samples):
    codes = codec.encode(sound[None, :samples])
    assert codes.shape == (1, -(-samples // 1920), 16)
    assert codec.decode(codes).shape == (1, codes.shape[1] * 1920, 2)


@pytest.mark.parametrize("levels", [1, 3, 16])
def test_any_leading_levels_decode_as_if_the_others_were_nothing(codec, config, tensors, sound, levels):
    codes = codec.encode(sound[None, :19_200])
    silenced = tensors["quantizer/codebooks"].copy()
    silenced[levels:] = 0.0
    shorter = CompactCodec.from_tensors(config, tensors | {"quantizer/codebooks": silenced})
    np.testing.assert_array_equal(codec.decode(codes[..., :levels]), shorter.decode(codes))
    assert levels == 16 or not np.array_equal(codec.decode(codes), shorter.decode(codes))


@pytest.mark.parametrize("frequency_hz", [330.0, 1234.0, 3010.0])
def test_a_tone_comes_back_at_its_pitch_and_level(codec, tone, frequency_hz):
    """A wrong sign in the phase gradients moves the pitch by up to a bin (23 Hz) and breaks the tone up."""
    original = tone(frequency_hz)
    decoded = codec.decode(codec.encode(original[None]))[0, 9600:33_600, 0]
    spectrum = np.abs(np.fft.rfft(decoded * np.hanning(len(decoded)), 4 * len(decoded)))
    peak_hz = np.argmax(spectrum) * 48_000 / (4 * len(decoded))
    assert abs(peak_hz - frequency_hz) < 3.0
    assert 0.7 < np.sqrt((decoded**2).mean()) / np.sqrt((original**2).mean()) < 1.3


def test_attacks_come_back_in_time(codec, make):
    """Windows and codebooks smear an attack by some milliseconds either way; a frame too early or late is 40."""
    start = 1920 * 13 - 500  # not on a frame boundary

    def onset(x):
        level = np.abs(x).max(1)
        return int(np.argmax(level > 0.25 * level[: start + 19_200].max()))

    late = []
    for seed in (3, 5, 6, 7, 8, 9):
        sound = make(seed)
        sound[: 1920 * 13] = 0.0  # silence, then chords from frame 13 on; the next hit is at frame 25
        sound[start : start + 9600] += make(seed + 1)[:9600]
        late.append(onset(codec.decode(codec.encode(sound[None]))[0]) - onset(sound))
    assert np.median(np.abs(late)) <= 480 and np.abs(late).max() <= 960, late


def test_tensors_go_back(codec, tensors, config, sound):
    again = CompactCodec.from_tensors(config, codec.to_tensors())
    assert again.to_tensors().keys() == tensors.keys()
    codes = codec.encode(sound[None, :19_200])
    np.testing.assert_array_equal(again.encode(sound[None, :19_200]), codes)
    np.testing.assert_array_equal(again.code_vectors, tensors["quantizer/codebooks"])


def test_silence_decodes_to_near_silence_and_everything_is_finite(codec, sound):
    quiet = codec.decode(codec.encode(np.zeros((1, 19_200, 2), np.float32)))
    assert np.abs(quiet).max() < 0.1 * np.abs(sound).max()
    noise = tiny_codec().decode(np.random.default_rng(0).integers(0, 1024, (1, 12, 16)))
    assert np.isfinite(noise).all() and np.abs(noise).max() > 1e-3


def test_states_are_named_tuples(codec):
    assert isinstance(codec.init_encode_state(1), EncodeState)
    assert isinstance(codec.init_decode_state(1), DecodeState)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((1, 3, 17), np.int32), r"got codes of shape \(1, 3, 17\), expected \(1, frames, 1 to 16\)"),
        (np.zeros((1, 3, 0), np.int32), "expected .*1 to 16"),
        (np.zeros((2, 3, 4), np.int32), r"expected \(1, frames"),
        (np.full((1, 3, 4), 64), "got codes from 64 to 64, expected 0 to 63"),
        (np.full((1, 3, 4), -1), "got codes from -1 to -1"),
    ],
)
def test_wrong_codes_are_refused(codec, codes, message):
    with pytest.raises(ValueError, match=message):
        codec.decode_step(codec.init_decode_state(1), codes)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 100, 2), np.float32), r"got samples of shape \(2, 100, 2\), expected \(1, samples, 2\)"),
        (np.zeros((1, 100, 1), np.float32), "pass stereo"),
        (np.full((1, 100, 2), np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_wrong_samples_are_refused(codec, samples, message):
    with pytest.raises(ValueError, match=message):
        codec.encode_step(codec.init_encode_state(1), samples)


def test_tensors_of_another_config_are_refused(config, tensors):
    other = dataclasses.replace(config, latent_dim=20)
    with pytest.raises(ValueError, match="got .* for tensor .*expected .*same bundle"):
        CompactCodec.from_tensors(other, tensors)
    with pytest.raises(ValueError, match="got nothing for tensor 'statistics/mean'"):
        CompactCodec.from_tensors(config, {name: value for name, value in tensors.items() if name != "statistics/mean"})


def test_nets_give_a_frame_the_same_bits_wherever_it_stands_in_a_block():
    """What makes streamed equal to whole at the starter's size too: no row takes another way through the products."""
    config = dataclasses.replace(codec_config.starter(), encoder_blocks=1, decoder_blocks=1, num_levels=5)
    codec = CompactCodec.from_tensors(config, random_codec_tensors(config))
    codes = np.random.default_rng(0).integers(0, 1024, (1, 24, 2))
    whole = codec.decode(codes)
    state, pieces = codec.init_decode_state(1), []
    for start, stop in ((0, 1), (1, 6), (6, 7), (7, 24)):
        state, piece = codec.decode_step(state, codes[:, start:stop])
        pieces.append(piece)
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1)[:, 1920:], whole[:, : 23 * 1920])
