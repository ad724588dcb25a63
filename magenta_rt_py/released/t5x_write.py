"""Writing T5X checkpoints: what T5X itself, and `released.t5x`, read again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import serialization

from magenta_rt_py.released.t5x_form import INDEX, VERSION, TensorForm, first_line, load_tensorstore, tensor_folder

GetArray = Callable[[], np.ndarray]


def write_checkpoint(
    directory: Path,
    tensors: Mapping[str, np.ndarray | GetArray],
    forms: Mapping[str, TensorForm],
    *,
    step: int,
) -> Path:
    """Writes a checkpoint, tensor by tensor. It appears whole or not at all.

    Args:
      directory: a new folder.
      tensors: slash path -> array, or a function that gives it when it is its turn.
      forms: slash path -> the shape it must have and the type it is written in; `chunks` are chosen here.
      step: training step.
    Raises:
      ValueError: a tensor has another shape, or loses by its type.
      OSError: the folder is there already, or the disk is full.
    """
    if directory.exists():
        raise FileExistsError(f"{directory} is there already; give a new folder")
    work = directory.parent / f".{directory.name}.{os.getpid()}.part"
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        _write(work, tensors, forms, step)
        work.rename(directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return directory


def _write(
    directory: Path, tensors: Mapping[str, np.ndarray | GetArray], forms: Mapping[str, TensorForm], step: int
) -> None:
    tree: dict[str, Any] = {}
    for path in sorted(forms):
        given = tensors[path]
        array = np.asarray(given() if callable(given) else given)
        form = forms[path].in_chunks
        if array.shape != form.shape:
            raise ValueError(f"tensor {path!r} has shape {array.shape}, expected {form.shape}; check the model's config")
        written = array.astype(jnp.dtype(form.dtype), copy=False)
        if written is not array and not np.array_equal(written.astype(array.dtype), array):
            raise ValueError(f"tensor {path!r} does not fit into {form.dtype}; write it as float32")
        spec = _spec(path, form)
        _write_array(directory, spec, written)
        *folders, name = path.split("/")
        place = tree
        for word in folders:
            place = place.setdefault(word, {})
        place[name] = spec
    state = {"step": np.array(step, np.int32), "param_states": {}}
    index = {"version": VERSION, "optimizer": {"target": tree, "state": state}}
    (directory / INDEX).write_bytes(serialization.msgpack_serialize(index))


def _write_array(directory: Path, spec: dict[str, Any], array: np.ndarray) -> None:
    tensorstore = load_tensorstore()
    folder = directory / spec["kvstore"]["path"]
    place = {**spec, "kvstore": {"driver": "file", "path": f"{folder}/"}}
    try:
        tensorstore.open(place, create=True).result().write(array).result()
    except ValueError as error:  # what tensorstore makes of a full or vanished disk
        raise OSError(f"{folder} cannot be written ({first_line(error)}); make room or choose another folder") from error


def _spec(path: str, form: TensorForm) -> dict[str, Any]:
    """What the index says of an array."""
    return {
        "driver": "zarr",
        "dtype": form.dtype,
        "kvstore": {"driver": "file", "path": f"{tensor_folder(path)}/"},
        "metadata": {
            "shape": list(form.shape),
            "chunks": list(form.chunks),
            "compressor": {"id": "gzip", "level": 1},
        },
    }
