"""Frechet distance between two sets of vectors, and divergence between label distributions.

Source: Dowson and Landau 1982 (the distance of two normal distributions); Heusel et al. 2017 (as a measure of
generators). Live Music Models, table 1, has it in the space of OpenL3, and the divergence on the labels of PaSST.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation.intervals import Estimate, jackknife_of

PROBABILITY_FLOOR = 1e-6
"""Added to every label's probability, so that a label nobody expects costs much and not infinitely much."""


def gaussian(vectors: Float[np.ndarray, "vectors dim"]) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, "dim dim"]]:
    """Mean and covariance of a set of at least two vectors.

    Raises:
      ValueError: if there are fewer.
    """
    if len(vectors) < 2:
        raise ValueError(f"got {len(vectors)} vectors, expected at least 2 for a covariance; measure more sounds")
    wide = np.asarray(vectors, np.float64)
    return wide.mean(0), np.atleast_2d(np.cov(wide, rowvar=False))


def distance_of_gaussians(
    mean: Float[np.ndarray, " dim"],
    covariance: Float[np.ndarray, "dim dim"],
    other_mean: Float[np.ndarray, " dim"],
    other_covariance: Float[np.ndarray, "dim dim"],
) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)); 0 for equal distributions.

    The trace of the root is that of (C1^(1/2) C2 C1^(1/2))^(1/2), whose matrix is symmetric: eigenvalues are real, also
    where a covariance has no full rank.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ other_covariance @ root)
    shift = float(((mean - other_mean) ** 2).sum())
    spread = float(np.trace(covariance) + np.trace(other_covariance) - 2.0 * np.sqrt(np.maximum(cross, 0.0)).sum())
    return max(0.0, shift + spread)


def frechet_distance(vectors: Float[np.ndarray, "vectors dim"], others: Float[np.ndarray, "others dim"]) -> float:
    """Distance of two sets. It grows as sets get smaller: compare only figures of equally large sets."""
    return distance_of_gaussians(*gaussian(vectors), *gaussian(others))


def grouped_distance(
    vectors: Float[np.ndarray, "vectors dim"],
    groups: Sequence[str],
    others: Float[np.ndarray, "others dim"],
    other_groups: Sequence[str],
) -> Estimate:
    """Distance with an interval from leaving out one group (a genre, a prompt) in both sets at a time."""
    own, theirs = np.asarray(groups), np.asarray(other_groups)
    names = sorted(set(own.tolist()) & set(theirs.tolist()))
    whole = frechet_distance(vectors, others)
    left = []
    for name in names if len(names) > 2 else []:
        kept, other_kept = vectors[own != name], others[theirs != name]
        if len(kept) > 1 and len(other_kept) > 1:
            left.append(frechet_distance(kept, other_kept))
    return jackknife_of(whole, left or [whole])


def divergence(reference: Float[np.ndarray, " labels"], found: Float[np.ndarray, " labels"]) -> float:
    """Kullback-Leibler divergence of label probabilities in nats, 0 if they are equal.

    Args:
      reference: of the true sound.
      found: of the generated one.
    """
    true, other = (
        (np.asarray(each, np.float64) + PROBABILITY_FLOOR) / (np.sum(each) + PROBABILITY_FLOOR * len(each))
        for each in (reference, found)
    )
    return float((true * np.log(true / other)).sum())
