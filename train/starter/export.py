"""Writes the trained parts as one bundle, with the record of how they were made."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from magenta_rt_py.bundle import save_bundle
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.refinement import RefinementConfig
from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.train import studio
from magenta_rt_py.train.runs.provenance import machine_state, source_state
from magenta_rt_py.train.starter.recipe import StarterRecipe
from magenta_rt_py.train.starter.record import amounts, losses, minutes_by_stage

DEFAULTS = {"temperature": 0.9, "top_k": 0, "guidance_weight": 0.5, "bpm": 125.0}
"""Knobs the starter plays best with (docs/benchmarks.md, steering and beat)."""

LICENCES = {
    "weights": "Apache-2.0",
    "training audio": "rendered by magenta_rt_py's studio; MuseScore General Lite sound font (MIT, parts CC0); "
    "see docs/sources.md",
}

STORAGE = {
    "codec": "int8",
    "codec/encoder": "float16",
    "codec/quantizer": "float16",
    "style": "int8",
    "lm": "int8",
    "refinement": "int8",
}
"""Matrices as int8 with a scale a row or column; small tensors stay float32. What decides the codes is finer, because
a language model that is fed other codes than it was trained on wanders off."""


def storage_of(parts: Collection[str]) -> dict[str, str]:
    """The entries of STORAGE for a bundle of some parts only."""
    return {key: form for key, form in STORAGE.items() if key.split("/")[0] in parts}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One trained model: its geometry as plain JSON data, and its tensors."""

    config: CompactCodecConfig | StyleConfig | LMConfig | RefinementConfig
    tensors: dict[str, np.ndarray]


def write_bundle(output: Path, parts: dict[str, Part], recipe: StarterRecipe, directory: Path) -> Path:
    """Writes the bundle; `directory` holds the metrics and times of the training runs."""
    record: dict[str, Any] = {
        "name": "starter",
        "defaults": DEFAULTS,
        "licences": LICENCES,
        "recipe": dataclasses.asdict(recipe),
        "genres": list(studio.STARTER_GENRES),
        "tempos_bpm": sorted({round(1500 / beat, 1) for genre in studio.STARTER_GENRES
                              for beat in studio.GENRES[genre].frames_per_beat}),
        "training": {name: losses(directory, name) for name in parts},
        "amounts": amounts(recipe, directory),
        "minutes": minutes_by_stage(directory),
        "source": source_state(),
        "machine": machine_state(),
    }  # fmt: skip
    return save_bundle(
        output,
        parts={name: (dataclasses.asdict(part.config), part.tensors) for name, part in parts.items()},
        record=record,
        storage=storage_of(parts),
    )
