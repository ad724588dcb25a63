"""Factorised tables multiplied out are the same model; code vectors are put on one scale."""

import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py import lm
from magenta_rt_py.lm.config import tiny
from magenta_rt_py.lm.tables import normalise_levels, with_lengths


def test_a_materialized_model_scores_as_the_factorised_one(starter_case, starter_vectors):
    config, params, data = starter_case
    plain = lm.materialize(params, starter_vectors, config)
    lm.load(lm.flatten(plain), config.plain)  # the released tree, and the starter's own leaves
    arguments = [jnp.asarray(data[name])[None] for name in ("encoder_tokens", "target_tokens")]
    clocks = {name: jnp.asarray(data[name])[None] for name in ("context_clock", "target_clock")}
    found = lm.forward(plain, config.plain, *arguments, **clocks)
    np.testing.assert_allclose(found[0], data["logits"], atol=2e-5)
    everything = lm.logits(plain, arguments[0], arguments[1].reshape(1, -1), config)
    assert (np.asarray(everything).argmax(-1) >= 2).all() and (np.asarray(everything).argmax(-1) < 2 + 3 * 24).all()


def test_a_plain_model_materializes_to_itself(plain_case, starter_vectors):
    assert lm.materialize(plain_case.params, starter_vectors, plain_case.config) is plain_case.params


def test_a_factorised_model_asks_for_its_code_vectors(starter_case):
    config, params, data = starter_case
    with pytest.raises(ValueError, match="needs code_vectors"):
        lm.forward(params, config, *(jnp.asarray(data[name])[None] for name in ("encoder_tokens", "target_tokens")))


def test_code_vectors_are_centred_and_scaled_level_by_level(starter_case):
    config = starter_case.config
    generator = np.random.default_rng(0)
    codec = (generator.normal(size=(5, 24, 5)) * np.array([9, 1, 0.1, 1, 1])[:, None, None] + 4).astype(np.float32)
    style = generator.normal(size=(12, 24, 4)).astype(np.float32)
    vectors = lm.normalise_code_vectors(codec, style, config)
    assert vectors.codec.shape == (3, 24, 5) and vectors.style.shape == (2, 24, 4)
    np.testing.assert_allclose(vectors.codec.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(np.square(vectors.codec).mean((1, 2)), 1, atol=1e-4)
    np.testing.assert_allclose(normalise_levels(codec, 3), vectors.codec)
    with pytest.raises(ValueError, match=r"got code vectors \(3, 24, 4\)"):
        lm.normalise_code_vectors(codec[..., :4], style, config)


def test_lengths_make_the_odds_of_a_gaussian_belief_linear():
    vectors = np.random.default_rng(1).normal(size=(2, 24, 5)).astype(np.float32) * np.float32([[[1]], [[3]]])
    features = with_lengths(vectors)
    np.testing.assert_array_equal(features[..., :-1], vectors)
    np.testing.assert_allclose(features[..., -1].mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(np.square(features[..., -1]).mean(1), 1, atol=1e-4)
    belief, certainty = np.ones(5, np.float32), 2.0
    odds = -certainty * np.square(vectors[1] - belief).sum(-1) / 2
    basis = np.concatenate([features[1], np.ones((24, 1))], axis=1)
    fitted, *_ = np.linalg.lstsq(basis, odds, rcond=None)
    np.testing.assert_allclose(basis @ fitted, odds, atol=1e-3)
    without, *_ = np.linalg.lstsq(np.delete(basis, -2, axis=1), odds, rcond=None)
    assert np.abs(np.delete(basis, -2, axis=1) @ without - odds).max() > 1


def test_a_model_that_sees_lengths_has_one_feature_more():
    config = tiny(factorised=True)
    generator = np.random.default_rng(0)
    codec = generator.normal(size=(3, 32, config.codec_code_dim)).astype(np.float32)
    style = generator.normal(size=(2, 32, config.style_code_dim)).astype(np.float32)
    vectors = lm.normalise_code_vectors(codec, style, config)
    assert vectors.codec.shape[-1] == config.codec_features == config.codec_code_dim + 1


def test_the_head_starts_from_what_occurs(starter_case):
    counts = np.zeros((3, 24), np.float32)
    counts[0, 5] = 12
    bias = lm.with_unigram(starter_case.params, counts)["decoder"]["logits_dense"]["bias"]
    np.testing.assert_allclose(np.exp(bias[0, [5, 6]]), [12.5 / 24, 0.5 / 24], rtol=1e-5)
    assert starter_case.params["decoder"]["logits_dense"]["bias"] is not bias
    with pytest.raises(ValueError, match=r"got counts of shape \(2, 24\), expected \(3, 24\)"):
        lm.with_unigram(starter_case.params, counts[:2])
