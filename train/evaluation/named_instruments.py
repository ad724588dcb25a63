"""Is an instrument that a prompt names heard? Detectors on plain descriptors, beside the probe of genres.

The words are the studio's. "piano" in a prompt means any instrument that captions call so. A detector learns from the
probe's own rows which sounds have one of them, and says yes above the level that 90 % of the pieces without it stay
below, judged on pieces that it has not learned from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from magenta_rt_py.train.evaluation.probe_data import ProbeData
from magenta_rt_py.train.studio.instruments import INSTRUMENTS

SPECIFICITY = 0.9
"""Share of pieces without the instrument in which it is not found."""

FEWEST_PIECES = 5
"""Pieces with and without it that a detector needs."""

FOLDS = 4
INVERSE_REGULARISATION = 0.005
"""As the probe's."""


def named_in(text: str) -> tuple[str, ...]:
    """Instruments of the studio that a text may mean, sorted; longer names come first and hide what they contain.

    "slap bass" means the slap bass and not every bass.
    """
    words: dict[str, set[str]] = {}
    for name, instrument in INSTRUMENTS.items():
        for word in {name, *instrument.words}:
            words.setdefault(word.lower(), set()).add(name)
    left, found = text.lower(), set()
    for word in sorted(words, key=len, reverse=True):
        pattern = re.compile(rf"\b{re.escape(word)}s?\b")
        if pattern.search(left):
            found |= words[word]
            left = pattern.sub(" ", left)
    return tuple(sorted(found))


class Detector:
    """Hears one of a few instruments."""

    def __init__(self, classifier: Pipeline, threshold: float) -> None:
        """Use `train_detector`."""
        self._classifier = classifier
        self._threshold = threshold

    def hears(self, descriptors: Float[np.ndarray, "windows features"]) -> bool:
        """Whether one of its instruments plays in a sound."""
        return bool(self._classifier.predict_proba(descriptors)[:, 1].mean() > self._threshold)


def train_detector(data: ProbeData, instruments: Iterable[str]) -> Detector | None:
    """A detector of any of the instruments; None if too few pieces have one, or lack them.

    Args:
      data: the probe's rows.
      instruments: names of the studio.
    """
    columns = [data.instruments.index(name) for name in instruments if name in data.instruments]
    if not columns:
        return None
    present = data.playing[:, columns].any(1)
    if min(len(set(data.piece_ids[present])), len(set(data.piece_ids[~present]))) < FEWEST_PIECES:
        return None
    unheard = np.zeros(len(present))
    for learned, judged in GroupKFold(FOLDS).split(data.descriptors, present, data.piece_ids):
        fitted = _classifier().fit(data.descriptors[learned], present[learned])
        unheard[judged] = fitted.predict_proba(data.descriptors[judged])[:, 1]
    without = [unheard[data.piece_ids == piece].mean() for piece in set(data.piece_ids[~present])]
    threshold = float(np.quantile(without, SPECIFICITY))
    return Detector(_classifier().fit(data.descriptors, present), threshold)


def _classifier() -> Pipeline:
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", max_iter=1000)
    )
