"""Residual vector quantization: each level codes what the levels before it left over."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Quantization(NamedTuple):
    """What one pass through all levels gives.

    quantized: sum of the active levels' vectors; gradients pass straight through to the latents.
    codes: per level, 0..codebook_size - 1.
    residuals: what each level was asked to code (needed to learn its codebook).
    commitment: mean squared distance between the latents and the sum of ALL levels, with gradient to the latents.
    """

    quantized: Float[Array, "*batch dim"]
    codes: Int[Array, "*batch levels"]
    residuals: Float[Array, "*batch levels dim"]
    commitment: Float[Array, ""]


class CodebookState(NamedTuple):
    """Codebooks learned by moving averages: vectors, and the averages of use and of what was coded."""

    codebooks: Float[Array, "levels codebook_size dim"]
    counts: Float[Array, "levels codebook_size"]
    sums: Float[Array, "levels codebook_size dim"]


def _nearest(codebook: Float[Array, "codebook_size dim"], residual: Float[Array, "*batch dim"]) -> Int[Array, "*batch"]:
    distance = (codebook**2).sum(-1) - 2.0 * residual @ codebook.T  # squared, less the residual's own square
    return distance.argmin(-1)


def encode(
    codebooks: Float[Array, "levels codebook_size dim"],
    latents: Float[Array, "*batch dim"],
    *,
    beam: int = 1,
    greedy_levels: int = 0,
) -> Int[Array, "*batch levels"]:
    """Codes of every level, coarsest level first.

    Args:
      beam: series of codes that go on from level to level; of those the one that ends nearest to the latents is taken. 1
        is greedy: every level takes the nearest vector to what the levels before it left over.
      greedy_levels: leading levels that are greedy whatever the beam, so that their codes do not depend on the others.
    Source: SoundStream (Zeghidour et al. 2021) section III-C, where all levels are greedy; the beam after Additive
      Quantization (Babenko and Lempitsky 2014) section 3.
    """

    def level(residual: Array, codebook: Array) -> tuple[Array, Array]:
        codes = _nearest(codebook, residual)
        return residual - codebook[codes], codes

    greedy = codebooks.shape[0] if beam == 1 else greedy_levels
    residual, codes = jax.lax.scan(level, latents, codebooks[:greedy])
    codes = jnp.moveaxis(codes, 0, -1)
    if greedy == codebooks.shape[0]:
        return codes
    return jnp.concatenate([codes, _beam_search(codebooks[greedy:], residual, beam)], axis=-1)


def _beam_search(
    codebooks: Float[Array, "levels codebook_size dim"], latents: Float[Array, "*batch dim"], beam: int
) -> Int[Array, "*batch levels"]:
    """The codes of the best of `beam` series; a series is the residual it leaves and the codes so far."""
    levels, size, dim = codebooks.shape
    batch = latents.shape[:-1]
    residuals = jnp.broadcast_to(latents[..., None, :], (*batch, beam, dim))
    codes = jnp.zeros((*batch, beam, levels), jnp.int32)
    # All series start alike: the first level may go on from one of them only, and those that it cannot fill stay out.
    unreachable = jnp.broadcast_to(jnp.where(jnp.arange(beam) == 0, 0.0, jnp.inf), (*batch, beam))

    def level(scanned: tuple[Array, Array, Array], index: Array) -> tuple[tuple[Array, Array, Array], None]:
        residuals, codes, unreachable = scanned
        codebook = codebooks[index]
        lengths = (residuals**2).sum(-1) + unreachable
        errors = lengths[..., None] + (codebook**2).sum(-1) - 2.0 * residuals @ codebook.T
        nearness, best = jax.lax.top_k(-errors.reshape(*batch, beam * size), beam)
        series, code = best // size, best % size
        residuals = jnp.take_along_axis(residuals, series[..., None], axis=-2) - codebook[code]
        codes = jnp.take_along_axis(codes, series[..., None], axis=-2).at[..., index].set(code)
        return (residuals, codes, jnp.where(nearness == -jnp.inf, jnp.inf, 0.0)), None

    (_, codes, _), _ = jax.lax.scan(level, (residuals, codes, unreachable), jnp.arange(levels))
    return codes[..., 0, :]  # top_k has the least error first


def decode(
    codebooks: Float[Array, "levels codebook_size dim"],
    codes: Int[Array, "*batch used_levels"],
    active_levels: Int[Array, ""] | int | None = None,
) -> Float[Array, "*batch dim"]:
    """Sum of the vectors of the leading levels given; levels are added in order.

    Args:
      active_levels: leading levels of `codes` that count; the others may hold anything valid. None: all. (A compiled
        program of fixed shape decodes any number of levels this way, with the same result to the last bit.)

    Raises:
      ValueError: if there are more levels than codebooks, or none.
    """
    used = codes.shape[-1]
    if not 1 <= used <= codebooks.shape[0]:
        raise ValueError(
            f"got {used} levels of codes, expected 1 to {codebooks.shape[0]}; pass leading levels codes[..., :k]"
        )
    total = codebooks[0][codes[..., 0]]
    for level in range(1, used):
        vectors = codebooks[level][codes[..., level]]
        total = total + (vectors if active_levels is None else jnp.where(level < active_levels, vectors, 0.0))
    return total


def straight_through(
    codebooks: Float[Array, "levels codebook_size dim"],
    latents: Float[Array, "batch frames dim"],
    active_levels: Int[Array, "batch"],
) -> Quantization:
    """Quantizes for training.

    The residual chain always runs through all levels, so that every codebook learns from the right residual; quantizer
    dropout only leaves the levels from active_levels[i] on out of the sum that the decoder sees.

    Source: SoundStream section III-C (quantizer dropout); masking only the sum is ours.
    """

    def level(residual: Array, codebook: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        codes = _nearest(codebook, residual)
        vectors = codebook[codes]
        return residual - vectors, (vectors, codes, residual)

    _, (vectors, codes, residuals) = jax.lax.scan(level, jax.lax.stop_gradient(latents), codebooks)
    active = (jnp.arange(codebooks.shape[0])[:, None] < active_levels[None]).astype(latents.dtype)
    summed = (vectors * active[:, :, None, None]).sum(0)
    return Quantization(
        quantized=latents + jax.lax.stop_gradient(summed - latents),
        codes=jnp.moveaxis(codes, 0, -1),
        residuals=jnp.moveaxis(residuals, 0, -2),
        commitment=((latents - jax.lax.stop_gradient(vectors.sum(0))) ** 2).mean(),
    )


def init_codebook_state(codebooks: Float[Array, "levels codebook_size dim"], vectors_per_step: int) -> CodebookState:
    """Averages as if every code had been used equally often so far."""
    levels, size, _ = codebooks.shape
    mean_use = vectors_per_step / size
    return CodebookState(codebooks, jnp.full((levels, size), mean_use, codebooks.dtype), codebooks * mean_use)


def update_codebooks(
    state: CodebookState,
    codes: Int[Array, "*batch levels"],
    residuals: Float[Array, "*batch levels dim"],
    *,
    key: Array,
    restart_dead: Bool[Array, ""] | bool,
    decay: float = 0.99,
    dead_fraction: float = 0.01,
) -> tuple[CodebookState, Int[Array, ""]]:
    """Moves every code toward the mean of what it coded; replaces dead codes by present residuals.

    Args:
      restart_dead: let dead codes restart in this step. Allow it rarely (every 50 steps): restarts at every step
        kept 60 % of a codebook in churn.
      dead_fraction: a code is dead when its average use is below this fraction of the mean use.
    Returns:
      the state, and how many codes were restarted.
    Source: VQ-VAE (van den Oord et al. 2017) appendix A.1; restarts after Jukebox (Dhariwal et al. 2020) section 3.
    """
    levels, size, dim = state.codebooks.shape
    flat_codes = codes.reshape(-1, levels).T
    flat_residuals = jnp.moveaxis(residuals.reshape(-1, levels, dim), 1, 0)
    vectors = flat_codes.shape[1]
    counts = jax.vmap(lambda c: jnp.zeros(size).at[c].add(1.0))(flat_codes)
    sums = jax.vmap(lambda c, r: jnp.zeros((size, dim)).at[c].add(r))(flat_codes, flat_residuals)
    counts = decay * state.counts + (1.0 - decay) * counts
    sums = decay * state.sums + (1.0 - decay) * sums
    codebooks = sums / (counts[..., None] + 1e-6)

    mean_use = vectors / size
    dead = (counts < dead_fraction * mean_use) & restart_dead
    picks = jax.random.randint(key, (levels, size), 0, vectors)
    fresh = jnp.take_along_axis(flat_residuals, picks[..., None], axis=1)
    codebooks = jnp.where(dead[..., None], fresh, codebooks)
    counts = jnp.where(dead, 0.5 * mean_use, counts)  # a fresh code has some credit before it can die again
    sums = jnp.where(dead[..., None], fresh * (0.5 * mean_use), sums)
    return CodebookState(codebooks, counts, sums), dead.sum()


def kmeans(
    latents: Float[Array, "vectors dim"], *, key: Array, num_levels: int, codebook_size: int, iterations: int = 8
) -> Float[Array, "levels codebook_size dim"]:
    """Starting codebooks: Lloyd's algorithm on the residuals of the levels before, level by level.

    Args:
      latents: about 20 vectors a code; fewer work, less well (a vector may then start several codes).
      iterations: Lloyd rounds a level; an empty cluster restarts at a random vector.
    """
    few = latents.shape[0] < codebook_size

    @jax.jit
    def level(residual: Array, level_key: Array) -> tuple[Array, Array]:
        def lloyd(round_index: Array, codebook: Array) -> Array:
            codes = _nearest(codebook, residual)
            counts = jnp.zeros(codebook_size).at[codes].add(1.0)
            sums = jnp.zeros_like(codebook).at[codes].add(residual)
            picks = jax.random.choice(jax.random.fold_in(level_key, round_index), residual.shape[0], (codebook_size,))
            return jnp.where(counts[:, None] > 0, sums / jnp.maximum(counts, 1.0)[:, None], residual[picks])

        start = jax.random.choice(level_key, residual.shape[0], (codebook_size,), replace=few)
        codebook = jax.lax.fori_loop(0, iterations, lloyd, residual[start])
        return codebook, residual - codebook[_nearest(codebook, residual)]

    codebooks, residual = [], latents
    for index in range(num_levels):
        codebook, residual = level(residual, jax.random.fold_in(key, index))
        codebooks.append(codebook)
    return jnp.stack(codebooks)
