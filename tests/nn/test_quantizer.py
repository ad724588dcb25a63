import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.nn import quantizer

encode, decode = jax.jit(quantizer.encode), jax.jit(quantizer.decode)
straight_through = jax.jit(quantizer.straight_through)
update_codebooks = jax.jit(quantizer.update_codebooks, static_argnames=("decay", "dead_fraction"))


@pytest.fixture(scope="module")
def latents():
    """Clustered points: 300 vectors of 6 numbers around 12 centres."""
    random = np.random.default_rng(0)
    centres = 3 * random.standard_normal((12, 6))
    return jnp.asarray((centres[random.integers(12, size=300)] + random.standard_normal((300, 6))).astype(np.float32))


@pytest.fixture(scope="module")
def codebooks(latents):
    return quantizer.kmeans(latents, key=jax.random.key(0), num_levels=4, codebook_size=16)


def test_codes_are_greedy_nearest_neighbours(codebooks, latents):
    codes, books = np.asarray(encode(codebooks, latents)), np.asarray(codebooks)
    residual = np.asarray(latents).copy()
    for level in range(4):
        distance = ((residual[:, None] - books[level]) ** 2).sum(-1)
        np.testing.assert_array_equal(codes[:, level], distance.argmin(1))
        residual -= books[level][codes[:, level]]


def test_a_beam_of_all_series_finds_the_nearest_sum(latents):
    random = np.random.default_rng(3)
    books = jnp.asarray(random.standard_normal((3, 5, 6)).astype(np.float32))
    some = latents[:40]
    series = np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    sums = np.asarray(books)[np.arange(3), series].sum(1)
    nearest = series[((np.asarray(some)[:, None] - sums) ** 2).sum(-1).argmin(1)]
    found = np.asarray(quantizer.encode(books, some, beam=25))
    np.testing.assert_array_equal(found, nearest)
    assert (np.asarray(encode(books, some)) != nearest).any(), "greedy would do as well: choose another seed"


def test_a_beam_leaves_the_greedy_levels_alone_and_lowers_the_error(codebooks, latents):
    greedy, kept = encode(codebooks, latents), quantizer.encode(codebooks, latents, beam=4, greedy_levels=2)
    np.testing.assert_array_equal(kept[:, :2], greedy[:, :2])
    free = quantizer.encode(codebooks, latents, beam=4)
    assert (free[:, :2] != greedy[:, :2]).any()
    errors = [float(((decode(codebooks, codes) - latents) ** 2).mean()) for codes in (free, kept, greedy)]
    assert errors == sorted(errors) and len(set(errors)) == 3


def test_decoding_some_levels_is_the_sum_of_their_vectors(codebooks, latents):
    codes = encode(codebooks, latents)
    for levels in range(1, 5):
        expected = sum(codebooks[q][codes[:, q]] for q in range(levels))
        np.testing.assert_array_equal(decode(codebooks, codes[:, :levels]), expected)
        np.testing.assert_array_equal(decode(codebooks, codes, levels), expected)  # fixed shape, the rest ignored


def test_every_level_lowers_the_error(codebooks, latents):
    codes = encode(codebooks, latents)
    errors = [float(((decode(codebooks, codes, k) - latents) ** 2).mean()) for k in range(1, 5)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.5 * errors[0]


def test_kmeans_beats_random_vectors_and_more_rounds_beat_fewer(latents):
    def error(books):
        return float(((decode(books, encode(books, latents)) - latents) ** 2).mean())

    fitted = {
        rounds: error(
            quantizer.kmeans(latents, key=jax.random.key(0), num_levels=1, codebook_size=16, iterations=rounds)
        )
        for rounds in (0, 1, 8)
    }
    assert fitted[8] < fitted[1] < fitted[0]
    assert fitted[8] < 1.1  # the scatter around the centres has variance 1


def test_kmeans_takes_fewer_vectors_than_codes(latents):
    books = quantizer.kmeans(latents[:10], key=jax.random.key(0), num_levels=2, codebook_size=16)
    assert np.isfinite(books).all()
    quantized = decode(books, encode(books, latents[:10]))
    assert float(jnp.abs(quantized - latents[:10]).max()) < 2.0


def test_gradient_passes_straight_through_and_dropout_only_masks_the_sum(codebooks, latents):
    x = latents[:8].reshape(2, 4, 6)
    active = jnp.array([1, 4])
    result = straight_through(codebooks, x, active)
    full = straight_through(codebooks, x, jnp.array([4, 4]))
    np.testing.assert_array_equal(result.codes, full.codes)  # the residual chain runs on
    np.testing.assert_array_equal(result.residuals, full.residuals)
    np.testing.assert_allclose(result.quantized[0], codebooks[0][result.codes[0, :, 0]], atol=1e-6)
    np.testing.assert_allclose(result.quantized[1], decode(codebooks, result.codes[1]), atol=1e-6)
    np.testing.assert_allclose(result.residuals[..., 0, :], x)
    np.testing.assert_allclose(result.commitment, ((x - decode(codebooks, result.codes)) ** 2).mean(), rtol=1e-5)
    weights = jnp.arange(48.0).reshape(x.shape)
    grad = jax.grad(lambda z: (straight_through(codebooks, z, active).quantized * weights).sum())(x)
    np.testing.assert_array_equal(grad, weights)


def test_codebooks_move_to_the_mean_of_what_they_code(codebooks, latents):
    state = quantizer.init_codebook_state(codebooks + 0.3, vectors_per_step=300)
    before = straight_through(state.codebooks, latents[None], jnp.array([4])).commitment
    for step in range(60):
        result = straight_through(state.codebooks, latents[None], jnp.array([4]))
        state, restarted = update_codebooks(
            state, result.codes, result.residuals, key=jax.random.key(step), restart_dead=False, decay=0.9
        )
        assert int(restarted) == 0
    after = straight_through(state.codebooks, latents[None], jnp.array([4])).commitment
    assert float(after) < 0.7 * float(before)


def test_dead_codes_restart_only_when_allowed(codebooks, latents):
    far = codebooks.at[0, 3].set(1e3)  # nothing is near it
    state = quantizer.init_codebook_state(far, vectors_per_step=300)
    state = state._replace(counts=state.counts.at[0, 3].set(1e-4), sums=state.sums.at[0, 3].set(0.1))
    result = straight_through(far, latents[None], jnp.array([4]))
    update = dict(key=jax.random.key(0), dead_fraction=0.01)
    kept, none = update_codebooks(state, result.codes, result.residuals, restart_dead=False, **update)
    fresh, some = update_codebooks(state, result.codes, result.residuals, restart_dead=True, **update)
    assert int(none) == 0 and int(some) == 1
    assert float(jnp.abs(kept.codebooks[0, 3]).max()) > 500
    distance = jnp.abs(fresh.codebooks[0, 3] - latents).max(-1).min()
    assert float(distance) == 0.0  # a present residual, of level 0: a latent
    again, none = update_codebooks(fresh, result.codes, result.residuals, restart_dead=True, **update)
    assert int(none) == 0  # it has credit


@pytest.mark.parametrize("levels", [0, 5])
def test_refuses_a_wrong_number_of_levels(codebooks, levels):
    with pytest.raises(ValueError, match=f"got {levels} levels.*expected 1 to 4"):
        quantizer.decode(codebooks, jnp.zeros((3, levels), jnp.int32))
