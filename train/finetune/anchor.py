"""Rehearsal by what the base would say: on music it knows, a finetune is held to the base's own predictions.

The codes of a rehearsed crop are one draw from what may follow; the base's distribution is all of it. Learning the codes
again moves even weights that need not move, and a small set is soon known by heart. The divergence from the base is 0 at
the start, and holds back only what the new music pulls away: with and without a style, as guidance needs both.

Source: Li and Hoiem 2016, "Learning without forgetting"; on music that is known, where they take the new task's inputs.

Only the rows at the head of a batch are ever rehearsed, so that the base has to read no others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.tables import CodeVectors
from magenta_rt_py.lm.vocabulary import AnyArray
from magenta_rt_py.train.lm import (
    LMBatch,
    LMTrainingConfig,
    code_logits,
    draw_depth_frames,
    likelihood_of_logits,
    normalised_level_weights,
)

Scores = Float[Array, "batch frames levels codes"]
Score = Callable[[Any, LMBatch, Any], Scores]
"""(parameters, crops, chosen frames) -> scores of every code."""


class AnchoredBatch(NamedTuple):
    """Crops, and which of them are rehearsed.

    Attributes:
      crops: as the model reads them.
      rehearsed: 1 where the base's predictions are kept, 0 where the codes are learned; the ones come first.
    """

    crops: LMBatch
    rehearsed: Float[AnyArray, " batch"]


def make_anchored_loss(
    config: LMConfig,
    training: LMTrainingConfig,
    code_vectors: CodeVectors | None,
    *,
    weight: float,
    rows: int,
    attach: Callable[[Score], Score] = lambda score: score,
) -> Callable[[Any, Any, AnchoredBatch, Array], tuple[Array, dict[str, Array]]]:
    """The loss of (trained parameters, the base's, batch, key).

    Args:
      config: the model.
      training: level weights, z-loss, frames that are scored.
      code_vectors: of a factorised model.
      weight: of a rehearsed crop's divergence beside a new crop's cross-entropy.
      rows: at the head of a batch, among which all rehearsed crops are; the base reads these alone.
      attach: how the trained parameters score, from how the base's do; adapters are not whole parameters.
    Returns:
      function -> (loss, metrics); "nats" are of the new crops and the rehearsed ones, as without an anchor, "anchor" is
      the mean divergence of the rehearsed ones in nats a code.
    """
    levels = normalised_level_weights(training.level_weights, config.num_levels)

    def base_score(params: Any, crops: LMBatch, chosen: Any) -> Scores:
        return code_logits(params, config, crops, code_vectors, chosen)

    score = attach(base_score)

    def loss(params: Any, base: Any, batch: AnchoredBatch, key: Array) -> tuple[Array, dict[str, Array]]:
        crops, rehearsed = batch.crops, jnp.asarray(batch.rehearsed)[:rows, None]
        chosen = draw_depth_frames(training, crops, key)
        scores = score(params, crops, chosen)
        log_likelihood, normaliser = likelihood_of_logits(scores, crops, chosen)
        nats = -log_likelihood.mean(1)
        head = jax.tree.map(lambda array: array[:rows], crops)
        apart = divergence(jax.lax.stop_gradient(base_score(base, head, chosen)), scores[:rows]).mean(1)
        learned = jnp.concatenate([jnp.where(rehearsed > 0, weight * apart, nats[:rows]), nats[rows:]])
        z_loss = training.z_loss * (normaliser**2).mean()
        kept = (rehearsed * apart).mean(1).sum() / jnp.maximum(rehearsed.sum(), 1.0)
        metrics = {"nats": nats.mean(0), "nats_mean": nats.mean(), "anchor": kept}
        return (levels * learned).mean() + z_loss, metrics

    return loss


def divergence(base: Scores, other: Scores) -> Float[Array, "batch frames levels"]:
    """Kullback-Leibler divergence of the other's distributions from the base's, nats."""
    wanted, said = jax.nn.log_softmax(base), jax.nn.log_softmax(other)
    return (jnp.exp(wanted) * (wanted - said)).sum(-1)
