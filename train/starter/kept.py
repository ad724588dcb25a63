"""What stages leave behind in the work directory: trained tensors and small files, each whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy


def tensors_path(directory: Path, part: str) -> Path:
    """Where a trained part's weights are kept until export."""
    return directory / part / "final.safetensors"


def save_tensors(directory: Path, part: str, tensors: dict[str, np.ndarray], seconds: float) -> None:
    """Keeps a trained part, whole or not at all, with the training seconds it was given."""
    path = tensors_path(directory, part)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    safetensors.numpy.save_file(contiguous, partial, metadata={"seconds": str(seconds)})
    os.replace(partial, path)


def trained_for(directory: Path, part: str) -> float:
    """The training seconds that a kept part was given; 0 where there is none."""
    path = tensors_path(directory, part)
    if not path.exists():
        return 0.0
    with safetensors.safe_open(str(path), framework="numpy") as file:
        return float((file.metadata() or {}).get("seconds", 0.0))


def load_tensors(directory: Path, part: str) -> dict[str, np.ndarray]:
    """Reads a trained part.

    Raises:
      FileNotFoundError: if the stage that trains it has not finished.
    """
    path = tensors_path(directory, part)
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: run the stage {part!r} first")
    return safetensors.numpy.load_file(path)


def write_text(path: Path, text: str) -> None:
    """Replaces a small file in one step."""
    partial = path.with_suffix(".tmp")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
