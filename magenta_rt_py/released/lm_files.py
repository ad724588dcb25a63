"""The language model of a T5X checkpoint as a part of a bundle, and back."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magenta_rt_py.bundle import Bundle
from magenta_rt_py.errors import BundleError, CheckpointError
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.released import gin
from magenta_rt_py.released.lm_sizes import check_shapes, expected_shapes, find_sizes
from magenta_rt_py.released.part import Part
from magenta_rt_py.released.t5x import Checkpoint, open_checkpoint
from magenta_rt_py.released.t5x_form import TensorForm
from magenta_rt_py.released.t5x_write import write_checkpoint
from magenta_rt_py.released.tree import open_tree

FORM = "t5x"
SETTINGS_FILE = "config.gin"
"""Name that T5X itself gives the settings of a run."""
DEFAULTS = {"temperature": 1.1, "top_k": 40, "guidance_weight": 5.0}
"""Knobs of the released system (library defaults)."""
NO_PLACE_FOR = (
    *("factorised", "logits_bias", "clock", "summary_at_every_level", "continue_context", "bar_recall"),
    *("style_at_every_frame", "code_lengths"),
)
"""What this project's own models may have and the released form has no tensors for."""


def read_lm(path: Path, settings: Path | None = None) -> Part:
    """Opens a T5X checkpoint; its weights are read when the part is written.

    Args:
      path: folder or tar archive, or one with a single checkpoint in it.
      settings: gin file; None takes "config.gin", or the only .gin file, in the checkpoint's folder or the one above.
    Raises:
      CheckpointError: it is damaged, is no Depthformer, or its settings do not fit its tensors.
    """
    checkpoint = open_checkpoint(path)
    name, given = _find_settings(path, checkpoint, settings)
    shapes = {tensor: form.shape for tensor, form in checkpoint.forms.items()}
    sizes = find_sizes(shapes, given, name or "the settings")
    record: dict[str, Any] = {"form": FORM, "step": checkpoint.step, "dtypes": _record_dtypes(checkpoint.forms)}
    if name:
        record["settings"] = name
    if sizes.assumed:
        record["assumed"] = list(sizes.assumed)
    return Part(
        config=dataclasses.asdict(sizes.config),
        tensors={tensor: functools.partial(checkpoint.read, tensor) for tensor in checkpoint.forms},
        record=record,
        num_parameters=sum(map(math.prod, shapes.values())),
        notes=tuple(f"assumed {words}" for words in sizes.assumed),
    )


def write_lm(bundle: Bundle, directory: Path, *, step: int | None = None, dtype: str | None = None) -> int:
    """Writes a bundle's language model as a T5X checkpoint, with the types that its tensors came in.

    Args:
      bundle: with an "lm" part of the plain released form.
      directory: a new folder.
      step: training step; None takes the one it came with, or 0.
      dtype: "float32" or "bfloat16" for all tensors; None takes the types they came in, or float32.
    Returns:
      how many parameters were written.
    Raises:
      BundleError: the bundle has no language model, or one that the released form cannot hold.
      ValueError: a tensor does not fit its type.
      OSError: the folder is there already, or the disk is full.
    """
    config = _plain_config(bundle)
    shapes = expected_shapes(config)
    tensors = bundle.tensors("lm")
    check_shapes({path: tensor.shape for path, tensor in tensors.items()}, shapes)
    origin = bundle.record.get("converted", {}).get("lm", {})
    known = origin.get("dtypes", {})
    types = {path: dtype or known.get("others", {}).get(path, known.get("most", "float32")) for path in shapes}
    forms = {path: TensorForm(tuple(shape), types[path]) for path, shape in shapes.items()}
    # Each tensor is let go of once it is written.
    lazy = {path: functools.partial(tensors.pop, path) for path in forms}
    write_checkpoint(directory, lazy, forms, step=step if step is not None else origin.get("step") or 0)
    return sum(map(math.prod, shapes.values()))


def _plain_config(bundle: Bundle) -> LMConfig:
    """The geometry of a bundle's language model, if T5X's form has a place for all of it."""
    if "lm" not in bundle.configs:
        raise BundleError(f"{bundle.path} has no 'lm' part; it has {', '.join(sorted(bundle.configs))}")
    try:
        config = LMConfig(**bundle.configs["lm"])
    except (TypeError, ValueError) as error:
        raise BundleError(f"{bundle.path}: its 'lm' part does not fit this program ({error}); get it again") from error
    ours = [name for name in NO_PLACE_FOR if getattr(config, name)]
    if config.context_positions_per_frame != config.context_levels:
        ours.append("context_positions_per_frame")
    if ours:
        raise BundleError(f"{bundle.path}: a T5X checkpoint has no place for {', '.join(ours)}; give a bundle without them")
    return config


def _find_settings(
    path: Path, checkpoint: Checkpoint, settings: Path | None
) -> tuple[str | None, dict[str, object] | None]:
    """Name and content of the gin file that belongs to a checkpoint, if there is one."""
    if settings is not None:
        return settings.name, _read_settings(settings)
    folder = checkpoint.tree.folder
    # An archive's own top is "the folder above" for a checkpoint inside a folder of it.
    for tree in (checkpoint.tree, open_tree(path)) if folder is None else (checkpoint.tree,):
        names = sorted(name for name in tree.sizes if "/" not in name and name.endswith(".gin"))
        if SETTINGS_FILE not in names and len(names) > 1:
            raise CheckpointError(f"{tree.path} has {len(names)} settings files; choose one with --gin: {', '.join(names)}")
        if names:
            chosen = SETTINGS_FILE if SETTINGS_FILE in names else names[0]
            try:
                return chosen, gin.parse(tree.read(chosen).decode())
            except ValueError as error:
                raise CheckpointError(f"{tree.path}: {chosen} cannot be read ({error}); correct or remove it") from error
    if folder is not None and (folder.parent / SETTINGS_FILE).is_file():
        return SETTINGS_FILE, _read_settings(folder.parent / SETTINGS_FILE)
    return None, None


def _read_settings(file: Path) -> dict[str, object]:
    try:
        return gin.parse(file.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: no settings can be read from it ({error}); check --gin, or correct it") from error


def _record_dtypes(forms: Mapping[str, TensorForm]) -> dict[str, Any]:
    """The types on disk: the usual one, and the tensors that differ."""
    ((most, _),) = Counter(form.dtype for form in forms.values()).most_common(1)
    others = {path: form.dtype for path, form in forms.items() if form.dtype != most}
    return {"most": most, "others": others} if others else {"most": most}
