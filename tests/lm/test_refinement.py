"""The refinement model: what it may see, and that drawing and scoring are one model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.lm import refinement
from magenta_rt_py.lm.refinement import RefinementConfig

CONFIG = RefinementConfig(
    coarse_levels=2, num_levels=4, codebook_size=16, codec_code_dim=6, width=12, blocks=2, kernel_frames=3
)
KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def model():
    """Lively parameters, code vectors, and codes of a short sequence."""
    generator = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf + 0.3 * generator.normal(size=leaf.shape).astype(np.float32), refinement.init(KEY, CONFIG)
    )
    vectors = jnp.asarray(generator.normal(size=(4, 16, 6)), jnp.float32)
    return params, vectors, jnp.asarray(generator.integers(0, 16, (2, 9, 4)), jnp.int32)


def refine(model, coarse, state=None, temperature=1.0):
    params, vectors, _ = model
    state = state or refinement.init_state(CONFIG, coarse.shape[0])
    return refinement.refine(params, CONFIG, vectors, state, coarse, KEY, jnp.float32(temperature))


def test_pieces_equal_the_whole_draws_included(model):
    coarse = model[2][..., :2]
    _, whole = refine(model, coarse)
    state, pieces = None, []
    for piece in (coarse[:, :3], coarse[:, 3:6], coarse[:, 6:]):
        state, codes = refine(model, piece, state)
        pieces.append(codes)
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)
    np.testing.assert_array_equal(whole[..., :2], coarse)
    assert int(state.frame) == 9


def test_several_streams_are_refined_together_as_alone(model):
    """Each goes on from a point of its own, with its own key and temperature."""
    params, vectors, codes = model
    coarse = [codes[:1, first : first + 3, :2] for first in (0, 2, 5)]
    states = [refinement.init_state(CONFIG) for _ in coarse]
    states[1], _ = refine(model, codes[:1, :2, :2])
    keys, temperatures = jax.random.split(KEY, 3), jnp.array([1.0, 0.5, 0.0])
    after, found = refinement.refine_batch(params, CONFIG, vectors, tuple(states), jnp.stack(coarse), keys, temperatures)
    for number in range(3):
        given = params, CONFIG, vectors, states[number], coarse[number], keys[number], temperatures[number]
        state, alone = refinement.refine(*given)
        np.testing.assert_array_equal(found[number], alone)
        assert int(after[number].frame) == int(state.frame) == (5 if number == 1 else 3)
        np.testing.assert_allclose(after[number].tails[0], state.tails[0], atol=1e-5)


def test_greedy_codes_are_the_likeliest_of_the_scored_logits(model):
    params, vectors, codes = model
    _, drawn = refine(model, codes[..., :2], temperature=0.0)
    scored = refinement.refine_logits(params, CONFIG, drawn, vectors)
    assert scored.shape == (2, 9, 2, 16) and np.std(scored) > 0.3
    np.testing.assert_array_equal(np.argmax(scored, axis=-1), drawn[..., 2:])


def test_draws_follow_the_scored_odds(model):
    params, vectors, _ = model
    coarse = jnp.ones((4000, 1, 2), jnp.int32)
    _, drawn = refine(model, coarse)
    scored = refinement.refine_logits(params, CONFIG, drawn[:1], vectors, levels=jnp.array([2]))[0, 0, 0]
    odds = np.bincount(np.asarray(drawn[:, 0, 2]), minlength=16) / 4000
    np.testing.assert_allclose(odds, jax.nn.softmax(scored), atol=0.03)


def test_a_level_sees_the_levels_below_and_the_coarse_past(model):
    params, vectors, codes = model

    def logits(codes):
        return np.asarray(refinement.refine_logits(params, CONFIG, codes, vectors))

    def changed(frame, level):
        other = codes.at[:, frame, level].set((codes[:, frame, level] + 1) % 16)
        return np.abs(logits(other) - logits(codes)).max((0, 3)) > 1e-6  # frames x fine levels

    fine = changed(4, 2)
    assert fine[4].tolist() == [False, True] and fine.sum() == 1
    assert not changed(4, 3).any()
    coarse = changed(4, 1)
    assert CONFIG.past_frames == 4
    assert not coarse[:4].any() and coarse[4:9].all()
    assert not changed(2, 0)[7:].any()


def test_scoring_a_part_equals_that_part_of_all(model):
    params, vectors, codes = model
    everything = refinement.refine_logits(params, CONFIG, codes, vectors)
    part = refinement.refine_logits(params, CONFIG, codes, vectors, levels=jnp.array([3]), frames=jnp.array([8, 2]))
    np.testing.assert_allclose(part, everything[:, [8, 2]][:, :, 1:], atol=1e-5)


def test_the_bundled_size_fits_its_budget():
    shapes = refinement.parameter_shapes(RefinementConfig())
    assert sum(int(np.prod(shape)) for shape in shapes.values()) <= 2_000_000
    assert RefinementConfig().fine_levels == 12 and 15 <= RefinementConfig().past_frames <= 20


def test_heads_start_from_what_occurs(model):
    counts = np.zeros((4, 16), np.float32)
    counts[2, 3] = 8
    bias = refinement.with_unigram(model[0], counts)["bias"]
    np.testing.assert_allclose(np.exp(bias[0, [3, 4]]), [8.5 / 16, 0.5 / 16], rtol=1e-5)
    np.testing.assert_allclose(np.exp(bias[1]), 1 / 16, rtol=1e-5)
    with pytest.raises(ValueError, match=r"got counts of shape \(1, 16\)"):
        refinement.with_unigram(model[0], counts[:1])


def test_bad_sizes_and_parameters_are_refused(model):
    with pytest.raises(ValueError, match="got 4 coarse of 4 levels"):
        RefinementConfig(coarse_levels=4, num_levels=4)
    with pytest.raises(ValueError, match="missing .*; and"):
        refinement.load({}, CONFIG)
