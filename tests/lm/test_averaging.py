"""Levels that are averaged instead of drawn: the code nearest to the mean of what is expected."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py import lm
from magenta_rt_py.lm import averaging, decode, vocabulary
from magenta_rt_py.lm.config import tiny
from magenta_rt_py.lm.sampling import SamplingConfig

KEY = jax.random.key(3)


def config_of(averaged, levels=3):
    return dataclasses.replace(tiny(), averaged_levels=averaged, num_levels=levels)


def vectors_of(config, seed=0):
    return np.random.default_rng(seed).normal(size=(config.num_levels + 2, config.codebook_size, 7)).astype(np.float32)


def request(config, seed=0):
    random = np.random.default_rng(seed)
    params = lm.init(jax.random.key(1), config)
    params = jax.tree.map(lambda leaf: leaf + 0.2 * random.normal(size=leaf.shape).astype(np.float32), params)
    context = random.integers(0, config.codebook_size, (1, config.context_frames, config.context_levels)).astype(np.int32)
    style = random.integers(0, config.codebook_size, (1, config.style_levels)).astype(np.int32)
    rows = [vocabulary.encoder_inputs(context, style, config), vocabulary.encoder_inputs(context, None, config)]
    return params, np.concatenate(rows)


def play(config, vectors, rows=2, frames=5, key=KEY, **knobs):
    params, tokens = request(config)
    controls = decode.make_controls(config, frames, SamplingConfig(**{"temperature": 1.0, "top_k": 0, **knobs}))
    averaged = averaging.averaged_levels(vectors, config)
    return np.asarray(decode.generate(params, config, tokens[:rows], controls, key, frames=frames, averaged=averaged))


def test_the_nearest_code_has_the_least_expected_squared_error():
    config = config_of(2)
    vectors = vectors_of(config)
    levels = averaging.averaged_levels(vectors, config)
    assert levels.vectors.shape == (2, config.codebook_size, 7)
    for index, seed in ((0, 1), (1, 2), (1, 5)):
        logits = 2.0 * np.random.default_rng(seed).normal(size=config.codebook_size).astype(np.float32)
        shares = np.exp(logits) / np.exp(logits).sum()
        own = vectors[config.drawn_levels + index].astype(np.float64)
        errors = [(shares * ((own - own[code]) ** 2).sum(-1)).sum() for code in range(config.codebook_size)]
        assert int(averaging.nearest_to_mean(jnp.asarray(logits), levels.at(index))) == int(np.argmin(errors))
        assert np.argmin(errors) != np.argmax(logits), "the likeliest code would do as well: choose another seed"


@pytest.mark.parametrize("levels, averaged", [(3, 2), (3, 1), (8, 5), (8, 1)])  # unrolled, and scanned
def test_the_finer_levels_follow_from_the_drawn_ones(levels, averaged):
    """Teacher-forced: the logits of the whole model, given what was played, lead to the same codes."""
    config = config_of(averaged, levels)
    vectors = vectors_of(config)
    codes = play(config, vectors)
    params, tokens = request(config)
    targets = jnp.asarray(vocabulary.codes_to_tokens(codes[None], config))[0]
    scores = np.asarray(decode.cached_logits(params, config, jnp.asarray(tokens[:1]), targets))[0]
    held = averaging.averaged_levels(vectors, config)
    for level in range(config.drawn_levels, levels):
        first = vocabulary.codec_offset(level, config)
        for frame in range(len(codes)):
            own = jnp.asarray(scores[frame, level, first : first + config.codebook_size])
            expected = averaging.nearest_to_mean(own, held.at(level - config.drawn_levels))
            assert codes[frame, level] == int(expected), (frame, level)


def test_draws_and_guidance_are_for_the_drawn_levels():
    config = config_of(2)
    vectors = vectors_of(config)
    one, other = play(config, vectors), play(config, vectors, key=jax.random.key(4))
    assert not np.array_equal(one[:, 0], other[:, 0])
    greedy = {"temperature": 0.0}
    alone = play(config, vectors, rows=1, **greedy)
    np.testing.assert_array_equal(play(config, vectors, guidance_weight=0.0, **greedy), alone)
    assert not np.array_equal(play(config, vectors, guidance_weight=8.0, **greedy), alone)


def test_streams_of_a_batch_average_as_each_alone():
    config = config_of(2)
    vectors = vectors_of(config)
    params, tokens = request(config)
    controls = decode.make_controls(config, 4, SamplingConfig(temperature=0.9, top_k=0))
    keys = jax.random.split(KEY, 3)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), controls)
    held = averaging.averaged_levels(vectors, config)
    found = decode.generate_batch(params, config, np.stack([tokens] * 3), stacked, keys, frames=4, averaged=held)
    for stream in range(3):
        alone = decode.generate(params, config, tokens, controls, keys[stream], frames=4, averaged=held)
        np.testing.assert_array_equal(found[stream], alone)


def test_vectors_and_configuration_must_agree():
    config = config_of(2)
    assert averaging.averaged_levels(vectors_of(config), config_of(0)) is None
    with pytest.raises(ValueError, match="got code vectors of 2 levels, expected the 3 of the model"):
        averaging.averaged_levels(vectors_of(config)[:2], config)
    params, tokens = request(config)
    controls = decode.make_controls(config, 2)
    with pytest.raises(ValueError, match="got 0 averaged levels, the configuration has 2"):
        decode.generate(params, config, tokens, controls, KEY, frames=2)
    held = averaging.averaged_levels(vectors_of(config), config)
    with pytest.raises(ValueError, match="in exact mode"):
        decode.generate(params, config, tokens, controls, KEY, frames=2, exact=True, averaged=held)
    for wrong in (-1, 3):
        with pytest.raises(ValueError, match="averaged_levels"):
            config_of(wrong)
