"""The vocabulary's numbers, and configurations that cannot be."""

import dataclasses

import pytest

from magenta_rt_py.lm import config as configs


def test_the_released_vocabulary():
    config = configs.base()
    assert (config.style_offset, config.vocabulary_size, config.vocabulary_rows) == (17410, 29698, 29824)
    assert (config.encoder_tokens, config.encoder_positions) == (1006, 1006)
    assert config.chunk_frames * config.num_levels == 800


def test_the_starter_sums_a_frame_into_one_position():
    config = configs.starter(codec_code_dim=96, style_code_dim=128)
    assert (config.encoder_tokens, config.encoder_positions) == (1006, 256)
    assert (config.num_levels, config.style_offset, config.vocabulary_size) == (4, 2 + 4096, 2 + 4096 + 6144)


def test_plain_is_the_same_model_without_code_vectors():
    plain = configs.starter().plain
    assert not plain.factorised and plain.logits_bias and plain.clock
    assert configs.base().plain == configs.base()
    assert plain.plain == plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context_positions_per_frame": 2}, "got context_positions_per_frame 2, expected 1"),
        ({"num_levels": 2}, "got context_levels 4 above num_levels 2"),
        ({"factorised": True}, "needs codec_code_dim and style_code_dim"),
        ({"activation_dtype": "float16"}, "got activation_dtype 'float16'"),
    ],
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(configs.base(), **change)
