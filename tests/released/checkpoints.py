"""Checkpoints for the tests, made without this package's writer: msgpack and zarr by hand, as T5X lays them out."""

import gzip
import itertools
import json
import tarfile
from pathlib import Path

import jax.numpy as jnp
import msgpack
import numpy as np

ZARR_NAMES = {"float32": "<f4", "float16": "<f2", "bfloat16": "bfloat16"}


def write_by_hand(folder: Path, tensors: dict, *, step: int = 1_860_000, most_per_axis: int = 10**9, index: bool = True):
    """A checkpoint directory of the released layout: the written kvstore is a cloud bucket, optimiser slots are there.

    Args:
      most_per_axis: chunks are no longer than this, so that an array has several.
    """
    folder.mkdir(parents=True)
    target: dict = {}
    for path, array in tensors.items():
        name = "target." + path.replace("/", ".")
        chunks = [min(size, most_per_axis) for size in array.shape]
        write_zarr(folder / name, array, chunks)
        place = target
        *outer, last = path.split("/")
        for word in outer:
            place = place.setdefault(word, {})
        place[last] = {
            "driver": "zarr",
            "dtype": str(array.dtype),
            "kvstore": {"driver": "gcs", "bucket": "t5x-dummy-bucket", "path": f"{name}/"},
            "metadata": {"chunks": chunks, "compressor": {"id": "gzip", "level": 1}, "shape": list(array.shape)},
        }
    slot = next(iter(tensors)).replace("/", ".")
    write_zarr(folder / f"state.param_states.{slot}.v", np.ones(3, np.float32), [3])
    if index:
        packed_step = msgpack.ExtType(1, msgpack.packb([[], "int32", np.int32(step).tobytes()]))
        tree = {"version": 3, "optimizer": {"target": target, "state": {"step": packed_step, "param_states": {}}}}
        (folder / "checkpoint").write_bytes(msgpack.packb(tree))
    return folder


def write_zarr(folder: Path, array: np.ndarray, chunks: list[int]) -> None:
    """A zarr v2 array, its chunks cut and compressed by hand; the last ones are filled up with zeros."""
    folder.mkdir(parents=True)
    meta = {"chunks": chunks, "compressor": {"id": "gzip", "level": 1}, "dimension_separator": ".",
            "dtype": ZARR_NAMES[str(array.dtype)], "fill_value": None, "filters": None, "order": "C",
            "shape": list(array.shape), "zarr_format": 2}  # fmt: skip
    (folder / ".zarray").write_text(json.dumps(meta))
    counts = [-(-size // chunk) for size, chunk in zip(array.shape, chunks)]
    for place in itertools.product(*map(range, counts)):
        chunk = np.zeros(chunks, array.dtype)
        piece = array[tuple(slice(i * size, (i + 1) * size) for i, size in zip(place, chunks))]
        chunk[tuple(slice(0, size) for size in piece.shape)] = piece
        (folder / (".".join(map(str, place)) or "0")).write_bytes(gzip.compress(chunk.tobytes(), 1))


def pack(folder: Path, archive: Path, *, inside: str = "", mode: str = "w") -> Path:
    """A tar archive of a folder's files, which get the path `inside` in it."""
    with tarfile.open(archive, mode) as opened:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                opened.add(file, f"{inside}{file.relative_to(folder).as_posix()}")
    return archive


def some_tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """A few arrays of several shapes and types."""
    generator = np.random.default_rng(seed)
    wide = generator.normal(size=(7, 10)).astype(np.float32)
    return {
        "a/kernel": wide,
        "a/scale": generator.normal(size=5).astype(np.float32),
        "b/c/kernel": np.asarray(jnp.asarray(wide.T, jnp.bfloat16)),
        "b/half": wide.astype(np.float16),
        "b/scalar": np.float32(0.5).reshape(()),
    }
