"""Live batch: requests of several sessions in one run of the language model.

    sizes     1   2   4   8 ...     a program for each, and for each number of rows and frames: compiled before anybody plays
    parts     a b c                 -> the smallest size that holds them
    places    a b c a               what is left over is filled up, and is not active

Sessions come and go between runs and nothing is compiled: who is there is data. Every stream has its own context, style,
knobs, clock and key, and gets the codes that it would get alone, but for the rounding of another program.

Stateless but for what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from magenta_rt_py.generators.models import Models
from magenta_rt_py.live.generator import Kind
from magenta_rt_py.lm import decode

__all__ = ["LiveBatch", "Made", "Part"]


class Part(NamedTuple):
    """A request as the language model takes it."""

    tokens: Int[np.ndarray, "rows tokens"]
    """Rows of `vocabulary.encoder_inputs`: 2, or 3 with a performer."""
    knobs: decode.Controls
    """Of this stream; its target clock has as many frames as the program makes."""
    seed: int
    """Of the stream."""
    start: int
    """First stream frame that is wanted; with the seed it decides the draws."""
    batch: tuple[int, int] | None = None
    """Size of the batch that it has to be served in, and its place there; None: as it comes."""
    adapter_strength: float | None = None
    """Of a model with adapters, see `Adapted.at`: parts of different strengths cannot go together."""


class Made(NamedTuple):
    """What a part came to."""

    codes: Int[np.ndarray, "frames coarse_levels"]
    batch: tuple[int, int]
    """Size of the batch that it was served in, and its place there."""


class LiveBatch:
    """What the sessions of one server share. Two batches never serve each other's parts.

    Attributes:
      sizes: of batches, ascending from 1.
    """

    def __init__(
        self,
        models: Models,
        *,
        sizes: Sequence[int] = (1,),
        costs: Mapping[tuple[int, int], Sequence[float]] | None = None,
    ) -> None:
        """Nothing is compiled yet.

        Args:
          models: the loaded models.
          sizes: of batches, ascending from 1.
          costs: seconds that a batch of each size takes, by (rows, frames) of its parts; what is not there nobody knows.
        Raises:
          ValueError: the sizes do not ascend from 1.
        """
        self.sizes = tuple(sizes)
        if not self.sizes or self.sizes[0] != 1 or list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"batches of sizes {self.sizes}; give them ascending, the first is 1")
        self._models, self._costs = models, dict(costs or {})

    def kind(self, rows: int, frames: int, adapter_strength: float | None = None) -> Kind:
        """Of a request of so many rows and frames, at a strength of the adapters."""
        costs = self._costs.get((rows, frames), (0.0,) * len(self.sizes))
        return Kind((self, rows, frames, adapter_strength), self.sizes, tuple(costs))

    def run(self, parts: Sequence[Part]) -> list[Made]:
        """All parts at once: they have as many rows and frames as each other, and one strength of the adapters.

        Raises:
          ValueError: more than the largest size, or different rows, frames or strengths.
        """
        if len(parts) == 1:
            return [self._run_one(parts[0])]
        size = next((known for known in self.sizes if known >= len(parts)), None)
        if size is None:
            raise ValueError(f"{len(parts)} requests at once; give at most {self.sizes[-1]}")
        codes = _run_together(self._models, dict(enumerate(parts)), size)
        return [Made(codes[place], (size, place)) for place in range(len(parts))]

    def _run_one(self, part: Part) -> Made:
        size, place = part.batch or (1, 0)
        if size > 1:
            return Made(_run_together(self._models, {place: part}, size)[place], (size, place))
        config, frames = self._models.lm_config, len(part.knobs.target_clock)
        key = _key(np.uint32(part.seed), np.uint32(part.start % 2**32))
        params = self._models.params_at(part.adapter_strength)
        averaged, packed = self._models.averaged, self._models.packed_of(params)
        made = decode.generate(
            params, config, part.tokens, part.knobs, key, frames=frames, averaged=averaged, packed=packed
        )
        return Made(np.asarray(made), (1, 0))


def _run_together(models: Models, parts: Mapping[int, Part], size: int) -> Int[np.ndarray, "streams frames coarse_levels"]:
    """Parts by place; codes of all places, NOBODY where nobody is."""
    filling = next(iter(parts.values()))
    likes = {(part.tokens.shape, part.knobs.target_clock.shape, part.adapter_strength) for part in parts.values()}
    if len(likes) > 1:
        raise ValueError(f"parts of different shapes or strengths {sorted(likes, key=str)} in a batch; run them apart")
    streams = [parts.get(place, filling) for place in range(size)]
    knobs: Any = jax.tree.map(lambda *leaves: np.stack(leaves), *(part.knobs for part in streams))
    seeds = np.array([part.seed for part in streams], np.uint32)
    starts = np.array([part.start % 2**32 for part in streams], np.uint32)
    codes = decode.generate_batch(
        models.params_at(filling.adapter_strength),
        models.lm_config,
        np.stack([part.tokens for part in streams]),
        knobs,
        _keys(seeds, starts),
        np.array([place in parts for place in range(size)]),
        frames=len(filling.knobs.target_clock),
        averaged=models.averaged,
    )
    return np.asarray(codes)


def _key(seed: Any, start: Any) -> jax.Array:
    """A request's key: of seed and start only, so that it can be made again."""
    return jax.random.fold_in(jax.random.key(seed), start)


_keys = jax.jit(jax.vmap(_key))
