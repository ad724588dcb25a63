"""SpectroStream's nets against the released code's numbers, and its layers against plain sums."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.codec import spectrostream_config
from magenta_rt_py.codec import spectrostream_network as network
from magenta_rt_py.codec import spectrostream_spectrum as spectrum
from magenta_rt_py.codec.network import unflatten
from magenta_rt_py.codec.spectrostream_layers import CausalConv, CausalConvTranspose, ResidualUnit, Span
from magenta_rt_py.nn import quantizer


def test_names_and_shapes_are_the_released_ones(released_codec_shapes):
    ours = network.tensor_shapes(spectrostream_config.released())
    assert network.count_numbers(spectrostream_config.released()) == 35_684_546 + 9_251_904 + 16_777_216
    if released_codec_shapes is not None:
        assert ours == {name: tuple(shape) for name, shape in released_codec_shapes.items()}


def test_every_stage_is_the_released_one(spectrostream_cases):
    for config, tensors, data in spectrostream_cases:
        encoder, decoder = unflatten(tensors, "encoder"), unflatten(tensors, "decoder")
        codebooks = jnp.asarray(tensors[network.CODEBOOKS])
        padded = np.pad(data["waveform"], ((0, 0), (0, config.lookahead_samples), (0, 0)))
        np.testing.assert_allclose(spectrum.analyse(config, jnp.asarray(padded)), data["stft"], atol=2e-5)
        encode = jax.jit(functools.partial(network.encode_latents, config))
        latents = encode(encoder, jnp.asarray(data["waveform"]))
        np.testing.assert_allclose(latents, data["embeddings"], atol=5e-6)
        np.testing.assert_array_equal(quantizer.encode(codebooks, latents), data["codes"])

        # Decoded were the latents themselves, and in recon_from_codes what their codes stand for.
        embeddings = jnp.asarray(data["embeddings"])
        _, made = step(network.Decoder(config), {"params": decoder}, None, embeddings)
        np.testing.assert_allclose(made[:, config.stft_frames_per_frame :], data["decoder_spec"], atol=2e-5)
        decode = jax.jit(functools.partial(network.decode_quantized, config, decoder))
        np.testing.assert_allclose(decode(embeddings), data["recon"], atol=2e-6)
        longer = jnp.pad(embeddings, ((0, 0), (0, 1), (0, 0)))
        np.testing.assert_allclose(decode(longer), data["recon_padded"], atol=2e-6)
        quantized = quantizer.decode(codebooks, jnp.asarray(data["codes"]))
        np.testing.assert_allclose(decode(quantized), data["recon_from_codes"], atol=2e-6)


def normal(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def step(layer, params, *inputs):
    """One compiled step: (past, outputs)."""
    return jax.jit(functools.partial(layer.apply, method="step"))(params, *inputs)


def init(layer, inputs):
    return jax.jit(functools.partial(layer.init, method="step"))(jax.random.key(0), None, inputs)


def plain_transpose(inputs, kernel, strides):
    """Transposed convolution by stuffing zeros: causal in time, centred in frequency; see the released geometry."""
    batch, time, bins, _ = inputs.shape
    stuffed = np.zeros((batch, time * strides[0], bins * strides[1], inputs.shape[-1]))
    stuffed[:, :: strides[0], :: strides[1]] = inputs
    total = kernel.shape[1] + strides[1] - 2
    left = total - total // 2
    padded = np.pad(stuffed, ((0, 0), (kernel.shape[0] - 1, 0), (left, kernel.shape[1]), (0, 0)))
    outputs = np.zeros((*stuffed.shape[:3], kernel.shape[-1]))
    for tap_time in range(kernel.shape[0]):
        for tap_bin in range(kernel.shape[1]):
            part = padded[:, tap_time:, tap_bin:][:, : stuffed.shape[1], : stuffed.shape[2]]
            outputs += part @ kernel[tap_time, tap_bin].astype(np.float64)
    return outputs


@pytest.mark.parametrize("strides", [(1, 2), (1, 3), (2, 2), (2, 1)])
def test_transposed_convolution_is_the_one_of_stuffed_zeros(strides):
    kernel = (max(3, 2 * strides[0]), max(3, 2 * strides[1]))
    layer = CausalConvTranspose(3, kernel, strides)
    inputs = normal(2, 6, 5, 4)
    params = init(layer, inputs)
    _, outputs = step(layer, params, None, inputs)
    expected = plain_transpose(inputs, np.asarray(params["params"]["conv"]["kernel"]), strides)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize("strides", [(1, 1), (1, 3), (2, 2)])
def test_strided_convolution_reads_its_own_inputs_last(strides):
    kernel = (max(3, 2 * strides[0]), max(3, 2 * strides[1]))
    layer = CausalConv(3, kernel, strides)
    inputs = normal(1, 8, 12, 4)
    params = init(layer, inputs)
    _, outputs = step(layer, params, None, inputs)
    taps, total = np.asarray(params["params"]["conv"]["kernel"]), kernel[1] - strides[1]
    padded = np.pad(np.asarray(inputs[0]), ((kernel[0] - strides[0], 0), (total // 2, total - total // 2), (0, 0)))
    for time, place in ((0, 0), (3, 2), (1, 3)):
        window = padded[time * strides[0] :, place * strides[1] :][: kernel[0], : kernel[1]]
        np.testing.assert_allclose(outputs[0, time, place], np.einsum("tbi,tbio->o", window, taps), atol=1e-5)


LAYERS = [CausalConv(3, (7, 7)), CausalConv(3, (4, 3), (2, 1)), CausalConvTranspose(3, (4, 4), (2, 2))]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_span_counts_and_the_rest_of_the_block_does_not(layer):
    """Frames 0-2 of two inputs each at places 1-3 of a block of five, then 3-4 at places 4 and 0 of the next."""
    inputs = normal(1, 10, 6, 3)
    params = init(layer, inputs)
    past, whole = step(layer, params, None, inputs)
    rate = whole.shape[1] // 5
    state, pieces = jax.tree.map(jnp.zeros_like, past), []
    run = jax.jit(lambda state, block, start, stop: layer.apply(params, state, block, Span(start, stop, 5), method="step"))
    for start, stop, first in ((1, 4, 0), (4, 5, 3), (0, 1, 4)):
        block = jnp.full((1, 10, 6, 3), 7.0)
        block = block.at[:, 2 * start : 2 * stop].set(inputs[:, 2 * first : 2 * (first + stop - start)])
        state, made = run(state, block, jnp.asarray(start), jnp.asarray(stop))
        pieces.append(made[:, rate * start : rate * stop])
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-5)
    np.testing.assert_array_equal(state, past)


def test_a_residual_unit_adds_and_runs_its_layers_in_the_order_named():
    inputs = normal(1, 4, 5, 3)
    first, second = ResidualUnit(), ResidualUnit(("conv2d_3x3", "conv2d_3x3_a"))
    params = init(first, inputs)
    silent = jax.tree.map(jnp.zeros_like, params)
    np.testing.assert_array_equal(step(first, silent, None, inputs)[1], inputs)
    assert not np.allclose(*(step(unit, params, None, inputs)[1] for unit in (first, second)))


def test_analysis_and_synthesis_are_an_identity_but_for_the_edges():
    config = spectrostream_config.tiny()
    sound = np.random.default_rng(0).standard_normal((1, 4800, 2)).astype(np.float32)
    # The Nyquist bin is not coded: take it out of the sound first.
    spectrum_of = np.fft.rfft(sound, axis=1)
    spectrum_of[:, 2200:] = 0.0
    sound = np.fft.irfft(spectrum_of, 4800, axis=1).astype(np.float32)
    _, again = spectrum.synthesise(config, None, spectrum.analyse(config, jnp.asarray(sound)))
    assert again.shape == (1, 4320, 2)
    np.testing.assert_allclose(again[:, 480:], sound[:, 480:4320], atol=2e-3)
    assert np.abs(again[:, :480] - sound[:, :480]).max() > 0.1


def test_left_and_right_take_the_same_way_until_they_are_fused():
    config = spectrostream_config.tiny()
    params = {"params": unflatten(network.random_tensors(config), "encoder")}
    random = np.random.default_rng(0)
    one, other = (jnp.asarray(random.standard_normal((1, 8, 480, 2)), jnp.float32) for _ in range(2))

    pairs = [(one, other), (other, one)]
    spectrograms = jnp.concatenate([jnp.concatenate(pair, axis=-1) for pair in pairs])
    _, latents = step(network.Encoder(config), params, None, spectrograms)
    _, second = step(network.Encoder(config), params, None, spectrograms[1:])
    assert not np.allclose(latents[0], latents[1])
    np.testing.assert_allclose(latents[1], second[0], atol=1e-4)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="got 6 encoder_widths, expected 7"):
        dataclasses.replace(spectrostream_config.tiny(), encoder_widths=(8, 8, 16, 16, 16, 32))
    with pytest.raises(ValueError, match="twice hop_samples"):
        dataclasses.replace(spectrostream_config.tiny(), hop_samples=240)
    with pytest.raises(ValueError, match="pass stereo"):
        dataclasses.replace(spectrostream_config.tiny(), channels=1)


def test_a_config_comes_back_from_json():
    config = spectrostream_config.tiny()
    assert spectrostream_config.SpectroStreamConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match=r"got codec config fields \['width'\]"):
        spectrostream_config.SpectroStreamConfig.from_dict({"width": 3})
