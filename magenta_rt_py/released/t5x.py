"""T5X checkpoints, read without T5X: a msgpack index beside one zarr array for each tensor.

    checkpoint_1860000/                          or the same in a .tar
      checkpoint                                 msgpack: version 3, step, and for every array where it lies and its form
      target.decoder.logits_dense.kernel/        the array of slash path decoder/logits_dense/kernel: zarr v2, gzip
        .zarray  0.0  0.1
      state.param_states...                      the optimiser's arrays: passed over

The index may say that the arrays lie in a cloud bucket, where they were written; what counts is the folder beside it.
Arrays are read one by one, when they are asked for. Source: T5X checkpoints, version 3 (Roberts et al. 2022,
arXiv 2203.17189), as the released checkpoints are.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax import serialization

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.released.t5x_form import (
    DTYPES,
    INDEX,
    TARGET,
    VERSION,
    TensorForm,
    first_line,
    load_tensorstore,
    tensor_folder,
)
from magenta_rt_py.released.tree import FileTree, open_tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An opened checkpoint; no weights have been read.

    Attributes:
      tree: its files.
      forms: slash path -> form, of every tensor of the model.
      step: training step, or None if the index is missing or does not say.
    """

    tree: FileTree
    forms: Mapping[str, TensorForm]
    step: int | None
    _inline: Mapping[str, np.ndarray]

    def read(self, path: str) -> np.ndarray:
        """One tensor, in the type it has on disk.

        Args:
          path: slash path, a key of `forms`.
        Raises:
          CheckpointError: a chunk is damaged.
          MissingExtraError: tensorstore is not installed.
        """
        if path in self._inline:
            return self._inline[path]
        folder = tensor_folder(path)
        tensorstore = load_tensorstore()
        try:
            if self.tree.folder is not None:
                kvstore: Any = {"driver": "file", "path": f"{self.tree.folder / folder}/"}
                opened = tensorstore.open({"driver": "zarr", "kvstore": kvstore}, open=True, read=True)
            else:
                kvstore = tensorstore.KvStore.open({"driver": "memory"}).result()
                for name in (".zarray", *self.forms[path].chunk_names):
                    kvstore[name] = self.tree.read(f"{folder}/{name}")
                opened = tensorstore.open({"driver": "zarr"}, kvstore=kvstore, open=True, read=True)
            return np.asarray(opened.result().read().result())
        except (ValueError, OSError) as error:
            raise CheckpointError(
                f"{self.tree.path}: tensor {path!r} cannot be read ({first_line(error)}); get the checkpoint again"
            ) from error


def find_checkpoint(tree: FileTree) -> str | None:
    """The folder of a tree that holds a checkpoint: "" for the tree itself, or one level down.

    Raises:
      CheckpointError: several folders hold one.
    """

    def is_part(words: list[str]) -> bool:
        return words == [INDEX] or (len(words) > 1 and words[0].startswith(TARGET))

    names = [name.split("/") for name in tree.sizes]
    if any(is_part(words) for words in names):
        return ""
    folders = sorted({words[0] for words in names if is_part(words[1:])})
    if len(folders) > 1:
        raise CheckpointError(f"{tree.path} holds {len(folders)} checkpoints; give one of them: {', '.join(folders)}")
    return folders[0] if folders else None


def open_checkpoint(path: Path) -> Checkpoint:
    """Opens a checkpoint and checks, before any weights are read, that all of it is there.

    Args:
      path: its folder or tar archive, or a folder or archive with just one such folder in it.
    Raises:
      CheckpointError: there is none, or a tensor is missing, surplus, of a shape other than the index says, or lacks
        a chunk.
    """
    whole = open_tree(path)
    folder = find_checkpoint(whole)
    if folder is None:
        raise CheckpointError(f"{path} holds no T5X checkpoint (no {INDEX!r}, no {TARGET}*); check the path")
    tree = whole.below(folder)
    forms = _array_forms(tree)
    if INDEX not in tree.sizes:
        return Checkpoint(tree=tree, forms=forms, step=None, _inline={})
    index = _read_index(tree)
    inline = {path: leaf for path, leaf in index.leaves.items() if isinstance(leaf, np.ndarray)}
    _compare(tree, forms, index.leaves)
    forms |= {path: TensorForm(array.shape, str(array.dtype)) for path, array in inline.items()}
    return Checkpoint(tree=tree, forms=forms, step=index.step, _inline=inline)


# ---------------------------------------------------------------------------------------------- arrays


def _array_forms(tree: FileTree) -> dict[str, TensorForm]:
    """Slash path -> form of every array folder; refuses one that lacks a chunk."""
    forms = {}
    for folder in sorted({name.split("/")[0] for name in tree.sizes if name.startswith(TARGET) and "/" in name}):
        path = folder.removeprefix(TARGET).replace(".", "/")
        forms[path] = form = _read_form(tree, folder, path)
        if form.num_chunks > len(tree.sizes):
            raise CheckpointError(f"{tree.path}: tensor {path!r} lacks most of its chunks; get the checkpoint again")
        missing = [name for name in form.chunk_names if f"{folder}/{name}" not in tree.sizes]
        if missing:
            raise CheckpointError(
                f"{tree.path}: tensor {path!r} lacks {len(missing)} of its chunks, first {missing[0]!r}; "
                "get the checkpoint again"
            )
    return forms


def _read_form(tree: FileTree, folder: str, path: str) -> TensorForm:
    try:
        stored = json.loads(tree.read(f"{folder}/.zarray"))
        form = TensorForm(
            shape=tuple(int(size) for size in stored["shape"]),
            dtype=DTYPES.get(stored["dtype"], stored["dtype"]),
            chunks=tuple(int(size) for size in stored["chunks"]),
            separator=stored.get("dimension_separator", "."),
        )
        known = stored["zarr_format"] == 2 and len(form.shape) == len(form.chunks) and all(size > 0 for size in form.chunks)
    except (CheckpointError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{tree.path}: tensor {path!r} has no readable .zarray ({error!r}); get the checkpoint again"
        ) from error
    if not known:
        raise CheckpointError(f"{tree.path}: tensor {path!r} is no zarr array of version 2; get the checkpoint again")
    if form.dtype not in DTYPES.values():
        raise CheckpointError(
            f"{tree.path}: tensor {path!r} has type {form.dtype!r}, expected {', '.join(DTYPES)}; "
            "write the checkpoint in one of them"
        )
    return form


# ---------------------------------------------------------------------------------------------- index


class _Index(NamedTuple):
    leaves: dict[str, Any]
    step: int | None


def _read_index(tree: FileTree) -> _Index:
    """Slash path -> description (or small array) of every tensor in the index, and the step."""
    where = tree.path / INDEX
    try:
        stored = serialization.msgpack_restore(tree.read(INDEX))
        version, optimizer = int(stored["version"]), dict(stored["optimizer"])
        leaves = dict(_leaves(optimizer["target"]))
        step = optimizer.get("state", {}).get("step")
    except CheckpointError:
        raise
    except Exception as error:  # msgpack and flax raise whatever the damaged bytes lead them to
        raise CheckpointError(f"{where}: not a readable index ({first_line(error)}); get the checkpoint again") from error
    if version != VERSION:
        raise CheckpointError(f"{where}: index version is {version}, this program reads {VERSION}; save it with a newer T5X")
    return _Index(leaves, int(step) if isinstance(step, np.ndarray | np.integer | int) and np.ndim(step) == 0 else None)


def _leaves(node: Any, path: str = "") -> Any:
    if isinstance(node, dict) and not {"driver", "kvstore", "metadata"} <= node.keys():
        for name, child in node.items():
            yield from _leaves(child, f"{path}/{name}" if path else str(name))
    else:
        yield path, node


def _compare(tree: FileTree, forms: Mapping[str, TensorForm], leaves: Mapping[str, Any]) -> None:
    """Refuses a difference between the index and the folders beside it."""
    described = {path: leaf for path, leaf in leaves.items() if not isinstance(leaf, np.ndarray)}
    for path in sorted(described.keys() | forms.keys()):
        if path not in forms:
            raise CheckpointError(f"{tree.path}: tensor {path!r} has no folder {tensor_folder(path)}; get it again")
        if path not in described:
            raise CheckpointError(f"{tree.path}: tensor {path!r} is not in the index; remove {tensor_folder(path)}")
        try:
            shape = tuple(described[path]["metadata"]["shape"])
        except (TypeError, KeyError) as error:
            raise CheckpointError(f"{tree.path}: the index does not describe tensor {path!r}; get it again") from error
        if shape != forms[path].shape:
            raise CheckpointError(
                f"{tree.path}: tensor {path!r} has shape {forms[path].shape}, the index says {shape}; get it again"
            )
