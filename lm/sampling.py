"""From logits to one id: guidance has been applied, then temperature, then top-k, then a draw."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

GREEDY_TEMPERATURE = 1e-4
"""At or below this the largest logit is taken (released sampler)."""
EXCLUDED_LOGIT = -1e7
"""Logit of what top-k leaves out (released sampler)."""
FAST_TOP_K = 128
"""Largest top-k drawn by the fast path; above it, and for 0, the exact one runs."""
FREE, FAST, EXACT, EACH = range(4)
"""Ways to draw: without a limit, among the few best, by the released rule; or each stream of a batch in its own way."""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How ids are drawn, as a person sets it."""

    temperature: float = 1.1  # above 1 is more adventurous; 0 takes the likeliest (released library default)
    top_k: int = 40  # ids to draw from, 0 is all (released default)
    guidance_weight: float = 5.0  # style guidance in the form of lm.guidance, 0 is off (released library default)
    input_guidance_weight: float = 0.0  # guidance towards injected audio, 0 is off

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < float("inf"):
            raise ValueError(f"got temperature {self.temperature}, expected a finite number of at least 0")
        if self.top_k < 0:
            raise ValueError(f"got top_k {self.top_k}, expected 0 (all) or more")
        for name in ("guidance_weight", "input_guidance_weight"):
            if not abs(getattr(self, name)) < float("inf"):
                raise ValueError(f"got {name} {getattr(self, name)}, expected a finite number")


def sample(
    key: PRNGKeyArray | Array,
    logits: Float[Array, "ids"],
    temperature: Float[Array, ""],
    top_k: Int[Array, ""],
    way: Int[Array, ""] | None = None,
) -> Int[Array, ""]:
    """Draws an index of `logits`; all knobs may be traced.

    Ties at the k-th place are kept only when top_k is above FAST_TOP_K; see `sample_exact` for the released rule.

    Args:
      way: of the whole batch, from `common_way`, where streams are mapped over; None follows from `top_k`.
    """
    width = min(FAST_TOP_K, logits.shape[0])

    def fast() -> Int[Array, ""]:
        # Values and indices together: XLA sorts everything when only the values are asked for (12 times slower).
        values, indices = jax.lax.top_k(logits, width)
        kept = jnp.where(jnp.arange(width) < top_k, values, -jnp.inf)
        noise = jax.random.gumbel(key, (width,))
        scaled = kept / jnp.maximum(temperature, GREEDY_TEMPERATURE)
        choice = jnp.where(temperature <= GREEDY_TEMPERATURE, 0, jnp.argmax(scaled + noise))
        return indices[choice]

    def slow() -> Int[Array, ""]:
        return sample_exact(key, logits, temperature, top_k)

    def free() -> Int[Array, ""]:
        drawn = jax.random.categorical(key, logits / jnp.maximum(temperature, GREEDY_TEMPERATURE))
        return jnp.where(temperature <= GREEDY_TEMPERATURE, jnp.argmax(logits), drawn).astype(jnp.int32)

    # Without a limit nothing need be sorted; the draw is the one that `sample_exact` makes.
    ways = (free, lambda: fast().astype(jnp.int32), slow)
    own = _way_of(top_k, logits.shape[0])
    if way is None:
        return jax.lax.switch(own, ways)
    # A switch that differs from stream to stream runs all its branches, sorting included: seldom needed, so apart.
    return jax.lax.switch(way, (*ways, lambda: jax.lax.switch(own, ways)))


def noise(keys: PRNGKeyArray | Array, ids: int, top_k: Int[Array, ""]) -> Float[Array, "draws ids"]:
    """The Gumbel noise with which `sample` draws with each of the keys: added to the logits divided by the temperature.

    In the fast way noise n is of the n-th best id and the rest of the row is not used, otherwise it is of id n.
    """
    width = min(FAST_TOP_K, ids)

    def fast() -> Float[Array, "draws ids"]:
        drawn = jax.vmap(lambda key: jax.random.gumbel(key, (width,)))(keys)
        return jnp.pad(drawn, ((0, 0), (0, ids - width)))

    def full() -> Float[Array, "draws ids"]:
        return jax.vmap(lambda key: jax.random.gumbel(key, (ids,)))(keys)

    return jax.lax.cond(_way_of(top_k, ids) == FAST, fast, full)


def common_way(top_k: Int[Array, "streams"], ids: int) -> Int[Array, ""]:
    """The way in which all streams draw; EACH if they differ."""
    ways = _way_of(top_k, ids)
    return jnp.where((ways == ways[0]).all(), ways[0], EACH)


def _way_of(top_k: Int[Array, "*streams"], ids: int) -> Int[Array, "*streams"]:
    return jnp.where(top_k == 0, FREE, jnp.where(top_k <= min(FAST_TOP_K, ids), FAST, EXACT))


def sample_exact(
    key: PRNGKeyArray | Array,
    logits: Float[Array, "ids"],
    temperature: Float[Array, ""],
    top_k: Int[Array, ""],
) -> Int[Array, ""]:
    """The released rule: divide by the temperature, keep what is at least the k-th largest (all ties), draw.

    Source: the released sampler. Its draws depend on its random generator and are not reproduced; its greedy ids are.
    """
    scaled = logits / jnp.maximum(temperature, GREEDY_TEMPERATURE)
    ordered = jnp.sort(scaled)
    kth_largest = ordered[jnp.clip(logits.shape[0] - top_k, 0, logits.shape[0] - 1)]
    kept = jnp.where((top_k > 0) & (scaled < kth_largest), EXCLUDED_LOGIT, scaled)
    drawn = jax.random.categorical(key, kept)
    return jnp.where(temperature <= GREEDY_TEMPERATURE, jnp.argmax(logits), drawn).astype(jnp.int32)
