"""Generation against the golden greedy ids, the released code's where at hand, and its own promises."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py import lm
from magenta_rt_py.lm import clock, decode, vocabulary
from magenta_rt_py.lm import config as configs
from magenta_rt_py.lm.config import MASK, PAD
from magenta_rt_py.lm.sampling import SamplingConfig

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def player():
    """A materialized tiny starter with lively random weights, and its encoder rows."""
    config = configs.tiny(factorised=True)
    generator = np.random.default_rng(0)
    vectors = lm.normalise_code_vectors(
        generator.normal(size=(3, 32, 6)).astype(np.float32), generator.normal(size=(2, 32, 5)).astype(np.float32), config
    )
    params = lm.materialize(lm.init(KEY, config), vectors, config)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * generator.normal(size=leaf.shape).astype(np.float32), params)
    return config.plain, params, make_rows(config, generator)


def make_rows(config, generator):
    context = generator.integers(0, config.codebook_size, (1, config.context_frames, config.num_levels))
    own = generator.integers(0, config.codebook_size, context.shape)
    style = generator.integers(0, config.codebook_size, (1, config.style_levels))
    rows = [vocabulary.encoder_inputs(context, style, config), vocabulary.encoder_inputs(context, None, config)]
    return jnp.asarray(np.concatenate([*rows, vocabulary.encoder_inputs(own, style, config)]))


def play(player, rows=2, frames=5, key=KEY, clocks=(None, None), **knobs):
    config, params, tokens = player
    controls = decode.make_controls(config, frames, SamplingConfig(**knobs), context_clock=clocks[0], target_clock=clocks[1])
    return np.asarray(decode.generate(params, config, tokens[:rows], controls, key, frames=frames))


def test_greedy_ids_equal_those_of_the_golden_file(plain_case):
    config, params, data = plain_case
    tokens = data["encoder_tokens"]
    masked = np.where(np.arange(len(tokens)) < len(tokens) - config.style_levels, tokens, MASK)
    controls = decode.make_controls(config, 4, SamplingConfig(temperature=0.0, guidance_weight=2.0))
    rows = jnp.asarray(np.stack([tokens, masked]), jnp.int32)
    codes = decode.generate(params, config, rows, controls, KEY, frames=4)
    np.testing.assert_array_equal(vocabulary.codes_to_tokens(np.asarray(codes), config), data["greedy_guided"])


@pytest.mark.parametrize(("name", "frames"), [("tiny_f32", 6), ("geom_f32", 3)])
def test_greedy_ids_and_the_stop_rule_equal_the_released_codes(oracle_cases, name, frames):
    if name not in oracle_cases:
        return
    config, params, data = oracle_cases[name]
    tokens, count = jnp.asarray(data["encoder_input_tokens"]), frames * config.num_levels

    def greedy(rows, weight):
        controls = decode.make_controls(config, frames, SamplingConfig(temperature=0.0, guidance_weight=weight))
        generate = jax.jit(decode.generate_tokens, static_argnames=("config", "frames", "exact"))
        return np.asarray(generate(params, config, rows, controls, KEY, frames=frames, exact=True)).ravel()

    for row in (0, 1) if name == "tiny_f32" else ():  # weight 0 upstream: two rows that know nothing of each other
        np.testing.assert_array_equal(greedy(tokens[row : row + 1], 0.0), data["tokens:greedy_cfg0"][row, :count])
    np.testing.assert_array_equal(greedy(tokens, 5.0), data["tokens:greedy_cfg5"][0, :count])
    if name == "tiny_f32":
        assert (data["tokens:greedy_cfg0"][1] == MASK).any(), "this case must reach the stop rule"


def test_one_at_a_time_equals_the_released_codes_cached_logits(oracle_cases):
    if not oracle_cases:
        return
    config, params, data = oracle_cases["tiny_f32"]
    targets = jnp.asarray(data["decoder_target_tokens"][0]).reshape(-1, config.num_levels)
    found = decode.cached_logits(params, config, jnp.asarray(data["encoder_input_tokens"][:1]), targets)
    np.testing.assert_allclose(found[0].reshape(24, -1), data["cached_logits"][0], atol=2e-5)


def test_exact_generation_ends_after_mask(plain_case):
    config, params, data = plain_case
    # MASK's column and that of a codec id are opposite, so that sooner or later one of them wins.
    column = np.random.default_rng(0).normal(size=config.dim).astype(np.float32)
    kernel = np.zeros((config.dim, config.vocabulary_rows), np.float32)
    kernel[:, MASK], kernel[:, 50] = column, -column
    changed = {**params["decoder"], "logits_dense": {"kernel": jnp.asarray(kernel)}}
    rows = jnp.asarray(data["encoder_tokens"])[None]
    controls = decode.make_controls(config, 4, SamplingConfig(temperature=0.0))
    generate = jax.jit(decode.generate_tokens, static_argnames=("config", "frames", "exact"))
    ids = generate({**params, "decoder": changed}, config, rows, controls, KEY, frames=4, exact=True)
    ids = np.asarray(ids).ravel()
    assert 0 < np.argmax(ids == MASK) < len(ids) - 1, "this case must reach the stop rule, but not at once"
    assert (ids[: np.argmax(ids == MASK)] == 50).all() and (ids[np.argmax(ids == MASK) + 1 :] == PAD).all()


def test_codes_are_of_their_level_and_the_seed_decides(player):
    first = play(player, temperature=1.0, top_k=0)
    assert first.shape == (5, 3) and first.min() >= 0 and first.max() < 32
    np.testing.assert_array_equal(first, play(player, temperature=1.0, top_k=0))
    assert (first != play(player, key=jax.random.key(1), temperature=1.0, top_k=0)).any()


def test_a_shorter_request_makes_the_same_first_frames(player):
    np.testing.assert_array_equal(play(player, frames=3), play(player, frames=5)[:3])


def test_no_guidance_is_one_row_and_input_guidance_needs_the_third(player):
    alone = play(player, rows=1)
    np.testing.assert_array_equal(play(player, rows=2, guidance_weight=0.0), alone)
    np.testing.assert_array_equal(play(player, rows=3, guidance_weight=0.0), alone)
    np.testing.assert_array_equal(play(player, rows=3, guidance_weight=3.0), play(player, guidance_weight=3.0))
    assert (play(player, guidance_weight=3.0) != alone).any()
    assert (play(player, rows=3, guidance_weight=0.0, input_guidance_weight=3.0) != alone).any()


def test_the_clock_is_heard(player):
    config = player[0]
    beats = np.arange(config.context_frames + 5.0)
    rows = clock.clock_features(beats, 1200.0)
    clocks = rows[: config.context_frames], rows[config.context_frames :]
    assert (play(player, clocks=clocks, temperature=0.0) != play(player, temperature=0.0)).any()


def test_guidance_pushes_towards_the_clock(player):
    """The same style in both rows: with a clock they differ still, without one guidance has nothing to compare."""
    config, params, tokens = player
    twice = config, params, jnp.stack([tokens[0], tokens[0]])
    rows = clock.clock_features(np.arange(config.context_frames + 5.0), 1200.0)
    clocks = rows[: config.context_frames], rows[config.context_frames :]
    assert (play(twice, clocks=clocks, guidance_weight=5.0) != play(twice, clocks=clocks, guidance_weight=0.0)).any()
    np.testing.assert_array_equal(play(twice, guidance_weight=5.0), play(twice, guidance_weight=0.0))
    # The performer's row keeps the clock: only the masked one is without.
    thrice = config, params, jnp.stack([tokens[0]] * 3)
    only_input = play(thrice, rows=3, clocks=clocks, guidance_weight=0.0, input_guidance_weight=5.0)
    np.testing.assert_array_equal(only_input, play(twice, clocks=clocks, guidance_weight=0.0))


def test_no_control_costs_a_compilation(player):
    play(player)
    before = decode.compiled_programs()
    rows = clock.clock_features(np.arange(13.0), 90.0)
    play(player, temperature=0.0, top_k=3, guidance_weight=0.5)
    play(player, key=jax.random.key(7), temperature=2.0, top_k=0, clocks=(rows[:8], rows[8:]))
    assert decode.compiled_programs() == before


def test_streams_in_a_batch_play_as_alone(player):
    config, params, tokens = player
    knobs = [SamplingConfig(temperature=1.0), SamplingConfig(temperature=0.5, top_k=2, guidance_weight=1.0)]
    controls = [decode.make_controls(config, 3, knob) for knob in knobs]
    keys = jax.random.split(KEY, 2)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *controls)
    rows = jnp.stack([tokens[:2], tokens[1:]])
    batch = decode.generate_batch(params, config, rows, stacked, keys, frames=3)
    for stream in range(2):
        alone = decode.generate(params, config, rows[stream], controls[stream], keys[stream], frames=3)
        np.testing.assert_array_equal(batch[stream], alone)


def test_many_levels_are_scanned_with_the_same_result(player, monkeypatch):
    config, params, tokens = player
    controls = decode.make_controls(config, 3)
    monkeypatch.setattr(decode, "UNROLLED_LEVELS", 0)
    scan = jax.jit(decode.generate_tokens, static_argnames=("config", "frames"))
    scanned = scan(params, config, tokens[:2], controls, KEY, frames=3)
    np.testing.assert_array_equal(vocabulary.tokens_to_codes(np.asarray(scanned), config), play(player, frames=3))


def test_the_released_compute_dtype_runs_and_agrees_roughly(plain_case):
    config, params, data = plain_case
    half = dataclasses.replace(config, activation_dtype="bfloat16")
    tokens, targets = jnp.asarray(data["encoder_tokens"])[None], jnp.asarray(data["target_tokens"])[:3]
    found = decode.cached_logits(params, half, tokens, targets)[0]
    assert found.dtype == jnp.float32
    distance = np.abs(np.asarray(found) - data["logits"][:3])
    assert 1e-4 < distance.max() and distance.mean() < 0.05


def test_bad_requests_are_refused(player):
    config, params, tokens = player
    controls = decode.make_controls(config, 6)
    with pytest.raises(ValueError, match=r"got frames 6, expected 1\.\.5"):
        decode.generate(params, config, tokens, controls, KEY, frames=6)
    with pytest.raises(ValueError, match="expected 1 to 3 rows of 18"):
        decode.generate(params, config, tokens[:, 1:], controls, KEY, frames=5)
    with pytest.raises(ValueError, match=r"got clocks \(8, 11\) and \(4, 11\)"):
        decode.make_controls(config, 5, target_clock=clock.unset_clock(4))
