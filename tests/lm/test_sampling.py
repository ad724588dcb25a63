"""Draws have the right odds, and both paths keep the right ids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.lm.sampling import FAST_TOP_K, SamplingConfig, sample, sample_exact


def draw_many(draw, logits, temperature, top_k, count=4000):
    keys = jax.random.split(jax.random.key(0), count)
    many = jax.jit(jax.vmap(lambda key: draw(key, logits, jnp.float32(temperature), jnp.int32(top_k))))
    return np.bincount(np.asarray(many(keys)), minlength=len(logits)) / count


@pytest.mark.parametrize("draw", [sample, sample_exact])
def test_odds_follow_logits_over_temperature_among_the_top_k(draw):
    logits = jnp.array([0.0, 2.0, 1.0, -1.0, 1.5])
    kept = np.array([0, 1, 1, 0, 1])
    odds = kept * np.exp(np.asarray(logits) / 0.7)
    np.testing.assert_allclose(draw_many(draw, logits, 0.7, 3), odds / odds.sum(), atol=0.03)


@pytest.mark.parametrize("draw", [sample, sample_exact])
def test_no_temperature_takes_the_likeliest_and_no_top_k_takes_all(draw):
    logits = jnp.array([0.0, 0.5, 0.25])
    assert draw_many(draw, logits, 0.0, 0)[1] == 1
    assert draw_many(draw, logits, 0.0, 2)[1] == 1
    odds = np.exp(np.asarray(logits))
    np.testing.assert_allclose(draw_many(draw, logits, 1.0, 0), odds / odds.sum(), atol=0.03)


def test_the_released_rule_keeps_ties_and_the_fast_path_does_not():
    logits = jnp.array([1.0, 2.0, 1.0, 1.0])
    assert (draw_many(sample_exact, logits, 1.0, 2) > 0).all()
    assert (draw_many(sample, logits, 1.0, 2) > 0).sum() == 2


def test_a_top_k_above_the_fast_width_is_kept_whole():
    logits = jnp.zeros(FAST_TOP_K + 50)
    odds = draw_many(sample, logits.at[: FAST_TOP_K + 20].set(1.0), 0.1, FAST_TOP_K + 20)
    assert (odds[FAST_TOP_K : FAST_TOP_K + 20] > 0).any() and not odds[FAST_TOP_K + 20 :].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": -0.1}, "got temperature -0.1"),
        ({"temperature": float("nan")}, "got temperature nan"),
        ({"top_k": -1}, "got top_k -1"),
        ({"guidance_weight": float("inf")}, "got guidance_weight inf"),
    ],
)
def test_impossible_knobs_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SamplingConfig(**change)
