"""Codes to ids and back, with the released layout's numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.lm import config as configs
from magenta_rt_py.lm import vocabulary

BASE = configs.base()


def test_codec_ids_of_the_released_layout():
    codes = np.array([[0, 1, 1023] + [5] * 13])
    tokens = vocabulary.codes_to_tokens(codes, BASE)
    assert tokens.dtype == np.int32
    np.testing.assert_array_equal(tokens[0, [0, 1, 2, 15]], [2, 2 + 1024 + 1, 2 + 2048 + 1023, 2 + 15 * 1024 + 5])
    np.testing.assert_array_equal(vocabulary.tokens_to_codes(tokens, BASE), codes)
    assert vocabulary.codec_offset(15, BASE) + 1023 == 16385
    with pytest.raises(ValueError, match="got level 16, expected 0..15"):
        vocabulary.codec_offset(16, BASE)


def test_encoder_reads_frames_in_order_then_style():
    context = np.full((1, 250, 16), -1)
    context[0, 1] = np.arange(16)
    tokens = vocabulary.encoder_inputs(context, np.array([[0, 1, 2, 3, 4, 1023, 9, 9]]), BASE)
    assert tokens.shape == (1, 1006) and tokens.dtype == np.int32
    np.testing.assert_array_equal(tokens[0, :9], [1, 1, 1, 1, 2, 1027, 2052, 3077, 1])
    np.testing.assert_array_equal(tokens[0, 1000:], [17410, 18435, 19460, 20485, 21510, 17410 + 5 * 1024 + 1023])


def test_a_style_that_is_not_there_is_masked():
    context = np.zeros((2, 250, 4), np.int64)
    np.testing.assert_array_equal(vocabulary.encoder_inputs(context, None, BASE)[:, 1000:], 1)
    style = np.array([[7] * 6, [-1] * 6])
    tokens = vocabulary.encoder_inputs(context, style, BASE)
    assert (tokens[1, 1000:] == 1).all() and (tokens[0, 1000:] > 17000).all()


def test_wrapping_reads_ids_of_other_levels_as_the_released_system_does():
    tokens = jnp.array([[0, 1, 2, 1026, 2050, 17410]])
    np.testing.assert_array_equal(vocabulary.wrap_tokens_to_codes(tokens, BASE), [[0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(vocabulary.wrap_tokens_to_codes(tokens + 9, BASE), [[7, 8, 9, 9, 9, 9]])
    with pytest.raises(ValueError, match="got codes from -3072 to"):
        vocabulary.tokens_to_codes(np.array([[2, 2, 2, 2]]), BASE)


def test_bad_arrays_are_refused():
    def frames(count, levels=4, value=0):
        return np.full((1, count, levels), value)

    with pytest.raises(ValueError, match="got context of 249 frames x 4 levels, expected 250 frames"):
        vocabulary.encoder_inputs(frames(249), None, BASE)
    with pytest.raises(ValueError, match="x 3 levels"):
        vocabulary.encoder_inputs(frames(250, 3), None, BASE)
    with pytest.raises(ValueError, match="got codes from 1024 to 1024, expected -1..1023"):
        vocabulary.encoder_inputs(frames(250, 4, 1024), None, BASE)
    with pytest.raises(ValueError, match="got codes from -2"):
        vocabulary.encoder_inputs(frames(250, 4, -2), None, BASE)
    with pytest.raises(ValueError, match="got 5 style levels, expected at least 6"):
        vocabulary.encoder_inputs(frames(250), np.zeros((1, 5), int), BASE)
    with pytest.raises(ValueError, match="got codes from -1 to 0, expected 0..1023"):
        vocabulary.codes_to_tokens(np.array([[0, -1]]), BASE)
    with pytest.raises(ValueError, match="got 17 levels"):
        vocabulary.codes_to_tokens(np.zeros((1, 17), int), BASE)
