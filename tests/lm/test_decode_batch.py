"""Several streams at once: each as alone, whoever else is there, and nothing is compiled for who comes and goes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py import lm
from magenta_rt_py.lm import clock, decode, vocabulary
from magenta_rt_py.lm import config as configs
from magenta_rt_py.lm.sampling import EACH, FAST, FAST_TOP_K, FREE, SamplingConfig, common_way, sample

STREAMS, FRAMES = 16, 4


@pytest.fixture(scope="module")
def model():
    """A materialized tiny starter with lively random weights."""
    config, generator = configs.tiny(factorised=True), np.random.default_rng(0)
    vectors = lm.normalise_code_vectors(
        generator.normal(size=(3, 32, 6)).astype(np.float32), generator.normal(size=(2, 32, 5)).astype(np.float32), config
    )
    params = lm.materialize(lm.init(jax.random.key(0), config), vectors, config)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * generator.normal(size=leaf.shape).astype(np.float32), params)
    return config.plain, params


def make_stream(config, number, rows=2, **knobs):
    """Tokens, controls and key of a stream of its own: context, style, knobs, tempo and seed."""
    generator = np.random.default_rng(number)
    contexts = generator.integers(0, config.codebook_size, (2, 1, config.context_frames, config.num_levels))
    style = generator.integers(0, config.codebook_size, (1, config.style_levels))
    tokens = [
        vocabulary.encoder_inputs(contexts[0], style, config),
        vocabulary.encoder_inputs(contexts[0], None, config),
        vocabulary.encoder_inputs(contexts[1], style, config),
    ]
    beats = clock.clock_features(np.arange(config.context_frames + FRAMES) * 0.1 * number, 60.0 + 10 * number)
    given = {"temperature": 0.0, "top_k": 4 * number, "guidance_weight": 0.5 * number, **knobs}
    sampling = SamplingConfig(**given, input_guidance_weight=1.0)
    clocks = {"context_clock": beats[: config.context_frames], "target_clock": beats[config.context_frames :]}
    controls = decode.make_controls(config, FRAMES, sampling, **clocks)
    return np.concatenate(tokens)[:rows].astype(np.int32), controls, jax.random.key(number)


def alone(model, stream):
    config, params = model
    tokens, controls, key = stream
    return np.asarray(decode.generate(params, config, tokens, controls, key, frames=FRAMES))


def together(model, streams, active=None):
    config, params = model
    tokens, controls, keys = zip(*streams)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *controls)
    return np.asarray(
        decode.generate_batch(params, config, np.stack(tokens), stacked, jnp.stack(keys), active, frames=FRAMES)
    )


@pytest.mark.parametrize("rows", [2, 3])
def test_greedy_ids_of_sixteen_streams_are_those_of_each_alone(model, rows):
    streams = [make_stream(model[0], number, rows) for number in range(STREAMS)]
    batch = together(model, streams)
    for number, stream in enumerate(streams):
        np.testing.assert_array_equal(batch[number], alone(model, stream))
    assert len({batch[number].tobytes() for number in range(STREAMS)}) > STREAMS // 2, "the streams must differ"


def test_logits_of_sixteen_streams_are_those_of_each_alone(model):
    """Known targets through the same caches, as `generate` runs them."""
    config, params = model
    tokens = np.stack([make_stream(config, number, 3)[0] for number in range(STREAMS)])
    generator = np.random.default_rng(99)
    codes = generator.integers(0, config.codebook_size, (STREAMS, FRAMES, config.num_levels))
    targets = vocabulary.codes_to_tokens(codes, config).astype(np.int32)
    run = jax.jit(jax.vmap(lambda rows, known: decode.cached_logits(params, config, rows, known)))
    batch = np.asarray(run(tokens, targets))
    assert batch.std() > 0.3
    for number in range(STREAMS):
        single = decode.cached_logits(params, config, tokens[number], targets[number])
        np.testing.assert_allclose(batch[number], single, atol=1e-4)


@pytest.mark.parametrize("top_ks", [(0, 0), (3, 5), (31, 40), (0, 5)])
def test_each_draws_in_its_own_way(model, top_ks):
    streams = [make_stream(model[0], number, temperature=1.0, top_k=top_ks[number % 2]) for number in range(4)]
    batch = together(model, streams)
    for number, stream in enumerate(streams):
        np.testing.assert_array_equal(batch[number], alone(model, stream))


def test_who_is_not_there_gets_nothing_and_changes_nothing(model):
    streams = [make_stream(model[0], number, temperature=1.0) for number in range(4)]
    batch, part = together(model, streams), together(model, streams, np.array([True, False, False, True]))
    np.testing.assert_array_equal(part[[0, 3]], batch[[0, 3]])
    assert (part[[1, 2]] == decode.NOBODY).all()


def test_who_comes_and_goes_and_what_they_turn_compiles_nothing(model):
    streams = [make_stream(model[0], number) for number in range(4)]
    together(model, streams)
    before = decode.compiled_programs()
    for active in ([True, False, True, False], [False] * 3 + [True], [True] * 4):
        turned = [make_stream(model[0], 9 + number, temperature=1.0, top_k=7 * number) for number in range(4)]
        together(model, turned, np.array(active))
    assert decode.compiled_programs() == before
    together(model, streams[:2])
    assert decode.compiled_programs() == before + 1


def test_the_common_way_is_that_of_all_or_each_ones_own():
    few, many = FAST_TOP_K, FAST_TOP_K + 1
    ways = [common_way(jnp.array(top_ks), 1024) for top_ks in ((0, 0), (5, few), (5, 0), (many, few))]
    assert [int(way) for way in ways] == [FREE, FAST, EACH, EACH]
    logits = jax.random.normal(jax.random.key(1), (1024,))
    for top_k in (0, 5, 500):
        given = jax.random.key(2), logits, jnp.float32(1.0), jnp.int32(top_k)
        assert int(sample(*given)) == int(sample(*given, jnp.int32(EACH)))
