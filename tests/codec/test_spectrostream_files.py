"""SpectroStream's tensors under the names of the two releases, there and back, and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.codec import spectrostream_config
from magenta_rt_py.codec import spectrostream_files as files
from magenta_rt_py.codec import spectrostream_network as network


@pytest.fixture(scope="module")
def config():
    return dataclasses.replace(spectrostream_config.tiny(), num_levels=3, codebook_size=8)


@pytest.fixture(scope="module")
def tensors(config):
    return network.random_tensors(config)


def assert_same(got, expected):
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_safetensors_go_there_and_back(config, tensors):
    released = files.to_safetensors(tensors)
    assert "params/encoder/encoder_2/conv2d_3x6_a/conv/kernel" in released
    assert "params/soundstream/decoder/decoder_4/conv2dtranspose_3x6/conv/kernel" in released
    assert "params/soundstream/quantizer/embedding" in released
    assert_same(files.from_safetensors(config, released), tensors)


@pytest.mark.parametrize("outer", ["", "params/", "soundstream/", "params/soundstream/"])
def test_outer_names_may_be_missing(config, tensors, outer):
    assert_same(files.from_safetensors(config, {outer + name: value for name, value in tensors.items()}), tensors)


def test_a_tensor_may_stand_in_two_files_if_it_is_the_same(config, tensors):
    twice = files.to_safetensors(tensors) | {"quantizer/embedding": tensors["quantizer/embedding"].copy()}
    assert_same(files.from_safetensors(config, twice), tensors)
    with pytest.raises(ValueError, match="two different tensors 'quantizer/embedding'"):
        files.from_safetensors(config, twice | {"quantizer/embedding": tensors["quantizer/embedding"] + 1})


def test_what_is_wrong_is_named(config, tensors):
    wrong = files.to_safetensors(tensors)
    wrong["params/depthformer/x"] = np.zeros(3)
    del wrong["params/encoder/bottleneck/conv2d_3x3/conv/bias"]
    wrong["params/soundstream/quantizer/embedding"] = np.zeros((3, 8, 4))
    with pytest.raises(ValueError) as caught:
        files.from_safetensors(config, wrong)
    said = str(caught.value)
    assert "lacks encoder/bottleneck/conv2d_3x3/conv/bias" in said
    assert "has unknown depthformer/x" in said
    assert "quantizer/embedding (3, 8, 4) instead of (3, 8, 16)" in said
    assert "\n" not in said


def test_saved_models_go_there_and_back(config, tensors):
    encoder, decoder, codebooks = files.to_saved_models(tensors)
    assert encoder["encoder_0/shortcut/conv1x1/weight_norm/rescaled/kernel:0"].shape == (1, 1, 4, 8)
    assert decoder["decoder_0/conv2dtranspose_4x3/weight_norm/rescaled/kernel:0"].shape == (4, 3, 128, 64)
    assert decoder["input_layer/base_conv_last/conv/bias:0"].shape == (2,)
    assert decoder["input_layer/conv1x1_first/conv1x1_b/weight_norm/bias:0"].shape == (320,)
    assert codebooks[0].shape == (16, 8)
    assert len(encoder) + len(decoder) + 1 == len(tensors)
    flags = {"encoder_0/conv2d_3x3/weight_norm/initialized:0": np.array(True)}
    back = files.from_saved_models(config, encoder=encoder | flags, decoder=decoder, codebooks=codebooks)
    assert_same(back, tensors)


@pytest.mark.parametrize("rename", [lambda n: f"encoder/{n}", lambda n: n.replace("/", "."), lambda n: f"x/{n[:-2]}"])
def test_one_outer_name_more_is_all_right(config, tensors, rename):
    encoder, decoder, codebooks = files.to_saved_models(tensors)
    renamed = {rename(name): value for name, value in encoder.items()}
    assert_same(files.from_saved_models(config, encoder=renamed, decoder=decoder, codebooks=codebooks), tensors)


def test_what_is_wrong_in_the_saved_models_is_named(config, tensors):
    encoder, decoder, codebooks = files.to_saved_models(tensors)
    less = dict(encoder)
    del less["bottleneck/conv2d_3x3/weight_norm/bias:0"]
    with pytest.raises(ValueError, match="SavedModels: lacks encoder/bottleneck/conv2d_3x3/conv/bias;"):
        files.from_saved_models(config, encoder=less, decoder=decoder, codebooks=codebooks)
    with pytest.raises(ValueError, match="got variable 'else/where/kernel:0' in the decoder"):
        files.from_saved_models(
            config, encoder=encoder, decoder=decoder | {"else/where/kernel:0": np.zeros(2)}, codebooks=codebooks
        )
    with pytest.raises(ValueError, match=r"levels \[0, 2\], expected 0 to 2"):
        files.from_saved_models(
            config, encoder=encoder, decoder=decoder, codebooks={level: codebooks[level] for level in (0, 2)}
        )
    twice = encoder | {"encoder/base_conv_first/conv/bias": np.zeros(4)}
    with pytest.raises(ValueError, match="got variable 'encoder/base_conv_first/conv/bias' twice"):
        files.from_saved_models(config, encoder=twice, decoder=decoder, codebooks=codebooks)


def test_keras_kernels_mean_the_same_transposed_convolution():
    """The gradient of a convolution to its input, which is how Keras defines it, against stuffed zeros and our kernel."""
    random = np.random.default_rng(0)
    keras = random.standard_normal((4, 6, 2, 3)).astype(np.float32)  # time, bins, out, in; strides (2, 3)
    inputs = random.standard_normal((1, 4, 5, 3)).astype(np.float32)

    def forward(outputs):
        return jax.lax.conv_general_dilated(
            outputs, jnp.asarray(keras), (2, 3), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    shape = (1, 3 * 2 + 4, 4 * 3 + 6, 2)
    (expected,) = jax.vjp(forward, jnp.zeros(shape))[1](jnp.asarray(inputs))
    stuffed = np.zeros((1, 3 * 2 + 1, 4 * 3 + 1, 3), np.float32)
    stuffed[:, ::2, ::3] = inputs
    got = jax.lax.conv_general_dilated(
        jnp.asarray(stuffed),
        jnp.asarray(files.kernel_from_keras(keras)),
        (1, 1),
        ((3, 3), (5, 5)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_array_equal(files.kernel_to_keras(files.kernel_from_keras(keras)), keras)
