"""The independent judge of genre: a linear classifier on plain descriptors.

It has never seen the style tower. It is trained on held-out renders and on
their codec round trips, so that neither a training piece nor a codec artefact
can decide for it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


class Probe:
    """Names the genre of a sound from the descriptors of its windows."""

    def __init__(self, classifier: Pipeline, genres: tuple[str, ...]) -> None:
        self._classifier = classifier
        self.genres = genres

    def probabilities(self, descriptors: Float[np.ndarray, "windows features"]) -> Float[np.ndarray, " genres"]:
        """Probability of each genre for one sound: mean over its windows, sums to 1."""
        return np.asarray(self._classifier.predict_proba(descriptors).mean(0), np.float64)

    def name(self, descriptors: Float[np.ndarray, "windows features"]) -> str:
        """The most probable genre of one sound."""
        return self.genres[int(self.probabilities(descriptors).argmax())]

    def accuracy(self, sounds: list[Float[np.ndarray, "windows features"]], genres: list[str]) -> float:
        """Share of sounds named rightly."""
        named = [self.name(descriptors) for descriptors in sounds]
        return float(np.mean([found == true for found, true in zip(named, genres, strict=True)]))


def train_probe(
    descriptors: Float[np.ndarray, "windows features"],
    genre_ids: Int[np.ndarray, " windows"],
    *,
    genres: tuple[str, ...],
    inverse_regularisation: float = 0.005,
) -> Probe:
    """Fits the classifier.

    Args:
      descriptors: one row a window.
      genre_ids: index into `genres` of each row.
      genres: names of the classes; each needs at least one row.
      inverse_regularisation: C of the logistic regression; strong, because takes differ from
        renders in ways that no training row shows.
    Raises:
      ValueError: if a genre has no row.
    """
    missing = [name for index, name in enumerate(genres) if not np.any(genre_ids == index)]
    if missing:
        raise ValueError(
            f"got no window of {missing}, expected all of {list(genres)}; "
            "render pieces of every genre before training the probe"
        )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_regularisation, max_iter=1000))
    classifier.fit(descriptors, genre_ids)
    return Probe(classifier, genres)
