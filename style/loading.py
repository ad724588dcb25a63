"""A style model of any kind from what a bundle keeps of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.style.embedder import StyleModel
from magenta_rt_py.style.interface import StyleEmbedder
from magenta_rt_py.style.musiccoca import CODE_VECTORS_KEY, TOKENIZER_KEY, MusicCoCa
from magenta_rt_py.style.musiccoca_config import KIND, TOWERS_ASSET, MusicCoCaConfig
from magenta_rt_py.style.musiccoca_savedmodel import SavedModelTowers
from magenta_rt_py.style.musiccoca_tflite import TFLiteTowers
from magenta_rt_py.style.musiccoca_towers import NativeTowers, Towers


def style_from_tensors(
    fields: Mapping[str, Any], tensors: Mapping[str, Any], assets: Mapping[str, Path] | None = None
) -> StyleEmbedder:
    """Builds a style model.

    Args:
      fields: the config as JSON values. With "kind": "musiccoca" it is the released style model; with no kind, this
        package's own.
      tensors: slash path -> array. Of MusicCoCa: "quantizer/code_vectors", "tokenizer/model" (uint8) and, with native
        towers, what `musiccoca_network.network_shapes` names.
      assets: files and folders of the bundle by their name in it; "style/towers" where the towers run released files.

    Raises:
      ValueError: the kind is unknown, or config, tensors and assets do not fit each other.
      BundleError: the released towers' files are incomplete or cannot be read.
      MissingExtraError: the package that runs them is not installed.
    """
    if "kind" not in fields and "towers" not in fields:
        return StyleModel.from_tensors(StyleConfig.from_dict(dict(fields)), tensors)
    if fields.get("kind", KIND) != KIND:
        raise ValueError(f"the style model's kind is {fields['kind']!r}, expected {KIND!r} or none; update this program")
    config, rest = MusicCoCaConfig.from_dict(dict(fields)), dict(tensors)
    missing = [name for name in (CODE_VECTORS_KEY, TOKENIZER_KEY) if name not in rest]
    if missing:
        raise ValueError(f"MusicCoCa's tensor {missing[0]!r} is missing; convert the released files again")
    code_vectors = np.asarray(rest.pop(CODE_VECTORS_KEY), np.float32)
    tokenizer_bytes = np.asarray(rest.pop(TOKENIZER_KEY)).astype(np.uint8).tobytes()
    return MusicCoCa(config, _towers(config, rest, assets or {}), code_vectors, tokenizer_bytes)


def _towers(config: MusicCoCaConfig, tensors: Mapping[str, Any], assets: Mapping[str, Path]) -> Towers:
    if config.towers == "native":
        return NativeTowers(config, tensors)
    if tensors:
        raise ValueError(f"{config.towers} towers have no tensors, got {sorted(tensors)[0]!r}; convert the files again")
    if TOWERS_ASSET not in assets:
        raise ValueError(
            f"{config.towers} towers need the bundle's {TOWERS_ASSET!r}, got assets {sorted(assets)}; "
            "convert the released files again"
        )
    if config.towers == "savedmodel":
        return SavedModelTowers(assets[TOWERS_ASSET])
    return TFLiteTowers(assets[TOWERS_ASSET], map_text=config.map_text, mapper_seed=config.mapper_seed)
