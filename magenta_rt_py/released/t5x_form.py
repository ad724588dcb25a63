"""How a T5X checkpoint holds one tensor: a folder with a zarr array of version 2, in chunks."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import jax.numpy as jnp

from magenta_rt_py.errors import MissingExtraError

INDEX = "checkpoint"
"""File beside the arrays: msgpack."""
TARGET = "target."
"""Begins the name of a model tensor's folder."""
VERSION = 3
"""Of the index; 3 since 2021, the first that holds bfloat16 as such."""
CHUNK_BYTES = 64 * 2**20
"""Largest chunk that is written; T5X's own limit."""
DTYPES = {"<f4": "float32", "<f2": "float16", "bfloat16": "bfloat16"}
"""Zarr's names of the types that are read -> numpy's. float32 holds each of them without loss."""


class TensorForm(NamedTuple):
    """What is known of a tensor before it is read.

    Attributes:
      shape: lengths of its axes.
      dtype: "float32", "float16" or "bfloat16".
      chunks: lengths of a chunk's axes; empty for a tensor that lies in the index itself.
      separator: between the numbers in a chunk's name.
    """

    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...] = ()
    separator: str = "."

    @property
    def num_bytes(self) -> int:
        """Size in memory."""
        return math.prod(self.shape) * jnp.dtype(self.dtype).itemsize

    @property
    def num_chunks(self) -> int:
        """Files that hold the numbers."""
        return math.prod(self._counts)

    @property
    def chunk_names(self) -> list[str]:
        """Names of all chunks, inside the tensor's folder."""
        return [self.separator.join(map(str, place)) or "0" for place in itertools.product(*map(range, self._counts))]

    @property
    def _counts(self) -> list[int]:
        """Chunks along each axis."""
        return [-(-size // chunk) for size, chunk in zip(self.shape, self.chunks, strict=True)]

    @property
    def in_chunks(self) -> TensorForm:
        """The same tensor in chunks to be written: divisors of the shape, the longest axis cut until they are small."""
        most_numbers = CHUNK_BYTES // jnp.dtype(self.dtype).itemsize
        chunks = list(self.shape)
        while math.prod(chunks) > most_numbers:
            axis = chunks.index(max(chunks))
            chunks[axis] = next(size for size in range(chunks[axis] - 1, 0, -1) if self.shape[axis] % size == 0)
        return self._replace(chunks=tuple(chunks), separator=".")


def tensor_folder(path: str) -> str:
    """Folder of the tensor of a slash path."""
    return TARGET + path.replace("/", ".")


def load_tensorstore() -> Any:
    """The package that reads and writes the arrays.

    Raises:
      MissingExtraError: it is not installed.
    """
    try:
        import tensorstore
    except ImportError as error:
        raise MissingExtraError("reading and writing T5X checkpoints", "tensorstore", "released") from error
    return tensorstore


def first_line(error: Exception) -> str:
    """What an error of another package says, short enough to be told on."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
