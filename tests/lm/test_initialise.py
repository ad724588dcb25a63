"""What a fresh model's parameters are like."""

import jax
import numpy as np

from magenta_rt_py import lm
from magenta_rt_py.lm import config as configs


def test_fresh_parameters_have_the_stated_scales():
    config = configs.starter(codec_code_dim=32, style_code_dim=16)
    flat = {path: np.asarray(leaf) for path, leaf in lm.flatten(lm.init(jax.random.key(3), config)).items()}
    layer = "decoder/decoder/temporal_decoder/layers_2/"
    expected = {
        layer + "self_attention/query/kernel": 256**-0.5 * 64**-0.5,
        layer + "encoder_decoder_attention/key/kernel": 256**-0.5,
        layer + "mlp/wo/kernel": 512**-0.5 * 12**-0.5,
        "encoder/layers_0/attention/out/kernel": 256**-0.5 * 4**-0.5,
        "token_embedder/codec_map": 32**-0.5,
        "token_embedder/style_map": 16**-0.5,
        "decoder/logits_dense/codec_map": 0.02 * (256 * 32) ** -0.5,
        "decoder/decoder/temporal_decoder/clock/map/kernel": 0.0,
        "encoder/clock/map/kernel": 0.0,
    }
    for path, deviation in expected.items():
        np.testing.assert_allclose(flat[path].std(), deviation, rtol=0.05, err_msg=path)
    assert (flat["decoder/decoder_norm/scale"] == 1).all()


def test_the_key_decides():
    config = configs.tiny()
    first, again, other = (
        lm.flatten(lm.init(jax.random.key(seed), config))["token_embedder/embedding"] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(np.asarray(first - other)).max() > 0.1
    old_style = lm.flatten(lm.init(jax.random.PRNGKey(0), config))["token_embedder/embedding"]
    np.testing.assert_array_equal(first, old_style)
