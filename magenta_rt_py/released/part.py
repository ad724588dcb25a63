"""A part of a bundle, as it comes out of released files: nothing large has been read yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """What `bundle.save_bundle` writes as one part, and what is told of it."""

    config: dict[str, Any]
    """As the bundle keeps it: plain JSON values."""
    tensors: Mapping[str, np.ndarray | Callable[[], np.ndarray]]
    """Slash path -> array, or a function that reads it."""
    assets: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    """Name in the bundle -> file or folder that is carried unchanged."""
    record: dict[str, Any]
    """Where it comes from, for the bundle's record under "converted"."""
    num_parameters: int
    """Numbers in its tensors."""
    notes: tuple[str, ...] = ()
    """What a person should know: assumptions."""

    @property
    def num_bytes(self) -> int:
        """Room that it needs on disk: float32, and its assets."""
        files = [file for place in self.assets.values() for file in ([place] if place.is_file() else place.rglob("*"))]
        return 4 * self.num_parameters + sum(file.stat().st_size for file in files if file.is_file())
