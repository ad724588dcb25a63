"""Mean style and style clusters of the music that a model was finetuned on; the bundle's part is `style.steering`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from magenta_rt_py.style.steering import Steering
from magenta_rt_py.train.data import count_windows

CLUSTERS = 5
"""Clusters of the clips (the released notebook's)."""


def steering_of_shards(paths: Sequence[Path]) -> Steering:
    """Mean style and k-means centroids of the pieces in token shards.

    Source: the released notebook: KMeans(k=5, random_state=0) over the clips' mean style embeddings.
    """
    return steering_of_clips(np.concatenate([clip_means(path) for path in paths]))


def steering_of_clips(clips: Float[np.ndarray, "clips dim"]) -> Steering:
    """The same from the clips' mean style embeddings; fewer different clips than five give fewer clusters."""
    from sklearn.cluster import KMeans

    count = min(CLUSTERS, len(np.unique(clips, axis=0)))
    fitted = KMeans(n_clusters=count, random_state=0, n_init=10).fit(clips.astype(np.float64))
    sizes = np.bincount(fitted.labels_, minlength=count)
    order = np.argsort(-sizes, kind="stable")
    return Steering(
        mean_style=clips.mean(axis=0).astype(np.float32),
        centroids=fitted.cluster_centers_[order].astype(np.float32),
        clips_per_centroid=sizes[order].astype(np.int64),
    )


def clip_means(path: Path) -> Float[np.ndarray, "clips dim"]:
    """Mean style embedding of each piece of a token shard, over the windows that lie in the piece."""
    with np.load(path, allow_pickle=False) as file:
        embeddings = file["style_audio"]
        lengths = file["lengths"] if "lengths" in file.files else np.full(len(embeddings), file["codes"].shape[1])
    counted = np.arange(embeddings.shape[1])[None] < count_windows(lengths)[:, None]
    total = (embeddings * counted[..., None]).sum(axis=1)
    return (total / counted.sum(axis=1, keepdims=True)).astype(np.float32)
