"""Checkpoints of a training state: one safetensors file, replaced atomically, no pickle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.train.optim import path_name

CHECKPOINT_FILE = "checkpoint.safetensors"
_FORMAT = "magenta_rt_py training state 1"

Tree = TypeVar("Tree")


@runtime_checkable
class CheckpointStore(Protocol):
    """Where a run keeps its state between sessions."""

    def exists(self) -> bool:
        """Whether there is anything to go on from."""
        ...

    def restore(self, template: Tree) -> Tree:
        """The newest state kept, in the structure of `template`; CheckpointError if it is of another model or broken."""
        ...

    def save(self, state: Any) -> None:
        """Keeps a state; it is safe on disk when this returns. FloatingPointError if it holds NaN or infinity."""
        ...


class FileStore:
    """The newest state of a run in one process, in one file of its directory."""

    def __init__(self, directory: str | Path) -> None:
        """Nothing is written yet."""
        self._directory = Path(directory)

    def exists(self) -> bool:
        """See CheckpointStore."""
        return exists(self._directory)

    def restore(self, template: Tree) -> Tree:
        """See CheckpointStore."""
        return restore_checkpoint(self._directory, template)

    def save(self, state: Any) -> None:
        """See CheckpointStore."""
        save_checkpoint(self._directory, state)


def flatten_tree(tree: Any) -> dict[str, np.ndarray]:
    """Every leaf of a pytree as a host array under its slash path."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    # order="C" and not ascontiguousarray, which would turn scalars into vectors.
    return {path_name(path): np.asarray(jax.device_get(leaf), order="C") for path, leaf in leaves}


def exists(directory: str | Path) -> bool:
    """Whether `directory` holds a checkpoint."""
    return (Path(directory) / CHECKPOINT_FILE).exists()


def save_checkpoint(directory: str | Path, state: Any) -> Path:
    """Write `state` to `directory/checkpoint.safetensors`.

    The file is written beside its final name, forced to disk and then renamed, so a crash leaves either the
    old checkpoint or the new one. Non-finite parameters are refused with FloatingPointError: the older, sound
    checkpoint stays.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tensors = flatten_tree(state)
    spoilt = [name for name, value in tensors.items() if not _finite(value)]
    if spoilt:
        raise FloatingPointError(
            f"{len(spoilt)} tensors hold NaN or infinity, first {spoilt[0]!r}; the checkpoint in {directory} "
            "was left as it was. Resume from it with a lower learning rate."
        )
    path = directory / CHECKPOINT_FILE
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(save(tensors, metadata={"format": _FORMAT}))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    return path


def restore_checkpoint(directory: str | Path, template: Tree) -> Tree:
    """Read the checkpoint in `directory` into the structure of `template`.

    Raises:
      CheckpointError: the file is missing, broken or no training state, or its tensors are not those of the
        template (the model's configuration changed since it was written).
    """
    path = Path(directory) / CHECKPOINT_FILE
    tensors = _read_tensors(path)
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    expected = {path_name(key): leaf for key, leaf in leaves}
    wrong = [
        f"{name}: {_shape(tensors, name)} in the file, {_shape(expected, name)} in the model"
        for name in sorted(tensors.keys() | expected.keys())
        if _shape(tensors, name) != _shape(expected, name)
    ]
    if wrong:
        raise CheckpointError(
            f"{path} was written by another configuration ({len(wrong)} tensors differ; {wrong[0]}); "
            "train in a new directory or restore the old configuration"
        )
    return jax.tree_util.tree_unflatten(
        structure, [jnp.asarray(tensors[path_name(key)], jnp.asarray(leaf).dtype) for key, leaf in leaves]
    )


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            found = (file.metadata() or {}).get("format")
            if found != _FORMAT:
                raise CheckpointError(f"{path} has format {found!r}, expected {_FORMAT!r}; name another directory")
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); delete it to train from the start") from error


def _shape(tensors: dict[str, Any], name: str) -> tuple[int, ...] | str:
    return tuple(np.shape(tensors[name])) if name in tensors else "nothing"


def _finite(value: np.ndarray) -> bool:
    # bfloat16 is a numpy extension type of kind "V"; it is checked as float32.
    if value.dtype.kind in "iub":
        return True
    return bool(np.isfinite(value.astype(np.float32)).all())
