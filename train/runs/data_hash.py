"""A name for the data that a run was trained on: equal data, equal hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magenta_rt_py.train.evaluation.units import source_hash

SAMPLED_ROWS = 64
"""Rows of an array's beginning and end that are hashed."""


def hash_files(paths: Iterable[str | Path]) -> str:
    """Of names and contents of files such as token shards, whatever their order and their folder."""
    return source_hash(Path(path) for path in paths)


def hash_arrays(arrays: Iterable[np.ndarray], texts: Sequence[Any] = ()) -> str:
    """Of shapes, types, and the first and last rows of arrays, and of texts.

    Not of whole arrays: they may be memory maps of hundreds of hours, and reading them would take longer than the first
    thousand steps. Two sets of recordings that differ only in the middle of every piece have the same hash.
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        for rows in (array[:SAMPLED_ROWS], array[-SAMPLED_ROWS:]):
            digest.update(np.ascontiguousarray(rows).tobytes())
    digest.update(repr(list(texts)).encode())
    return digest.hexdigest()
