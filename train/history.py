"""Spoils what a language model in training is told of its own recent past.

A model that has only ever seen true history leans on it: one wrong frame, and it follows the mistake instead of the style.
Hiding frames makes style, clock and bar recall do the work; wrong codes teach it to get back on its feet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from magenta_rt_py.lm.config import MASK


@dataclass(frozen=True, kw_only=True)
class HistoryConfig:
    """Shares of crops and frames that are spoilt (all ours)."""

    # Share of crops whose whole history is hidden: style, clock and context must do.
    hidden_probability: float = 0.15
    # Share of crops in which single frames are hidden.
    holes_probability: float = 0.3
    # Of their frames, at most this share is hidden (drawn evenly from 0 up).
    largest_holes: float = 0.8
    # Share of crops, hidden or not, in which frames are swapped for frames of another place or piece.
    swapped_probability: float = 0.4
    # Of their frames, at most this share is swapped.
    largest_swapped: float = 0.4
    # Of the swapped frames, this share keeps its coarsest level: the slip of a model that knew what but not how.
    fine_only_probability: float = 0.5


def spoil_history(
    tokens: Int[np.ndarray, "batch frames levels"], config: HistoryConfig, random: np.random.Generator
) -> Int[np.ndarray, "batch frames levels"]:
    """The history to be heard in place of `tokens`; labels and depth inputs stay true."""
    batch, frames, levels = tokens.shape
    spoilt = tokens.copy()
    rate = random.uniform(0, config.largest_swapped, batch) * (random.random(batch) < config.swapped_probability)
    swapped = random.random((batch, frames)) < rate[:, None]
    # Whole frames of any crop of the batch: likely sounds at unlikely places, as a model's own slips are.
    pool = tokens.reshape(-1, levels)
    strangers = pool[random.integers(len(pool), size=int(swapped.sum()))]
    keeps_coarsest = random.random(len(strangers)) < config.fine_only_probability
    strangers[:, 0] = np.where(keeps_coarsest, tokens[swapped][:, 0], strangers[:, 0])
    spoilt[swapped] = strangers
    kind = random.random(batch)
    holes = random.uniform(0, config.largest_holes, batch) * (kind < config.hidden_probability + config.holes_probability)
    rate = np.where(kind < config.hidden_probability, 1.0, holes)
    spoilt[random.random((batch, frames)) < rate[:, None]] = MASK
    return spoilt
