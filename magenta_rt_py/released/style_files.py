"""MusicCoCa's released files as a part of a bundle: SavedModels of the first release, or TFLite programs of the second."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.released.part import Part
from magenta_rt_py.released.saved_model import is_saved_model
from magenta_rt_py.style import musiccoca_savedmodel, musiccoca_tflite
from magenta_rt_py.style.musiccoca_config import MusicCoCaConfig

VOCABULARIES = "vocabularies"
"""Folder of the first release's SentencePiece file, beside that of its SavedModels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleFiles:
    """Where a style model's released files lie: a folder of TFLite programs, or the first release's three places."""

    tflite: Path | None = None
    towers: Path | None = None
    quantizer: Path | None = None
    vocabulary: Path | None = None


def find_style(places: list[Path]) -> StyleFiles | None:
    """Finds the files of a style model among some files and folders.

    Args:
      places: the folder of the TFLite programs; or towers, quantizer and SentencePiece file; or a folder that has them
        in it. What lies where the release has it, beside what is given, need not be given.
    Returns:
      None if there are none.
    """
    for place in places:
        if (place / musiccoca_tflite.TEXT).is_file():
            return StyleFiles(tflite=place)
    near = [*places, *(below for place in places if place.is_dir() for below in sorted(place.iterdir()))]
    near += [beside for place in places if is_saved_model(place) for beside in sorted(place.parent.iterdir())]
    models = [place for place in near if place.name.startswith("musiccoca") and is_saved_model(place)]
    if not models:
        return None
    quantizer = next((place for place in models if "quant" in place.name), None)
    towers = next((place for place in (*places, *models) if place in models and place != quantizer), None)
    folders = [folder for model in models for folder in (model, model.parent, model.parent.parent / VOCABULARIES)]
    files = [place for place in (*near, *(file for folder in folders for file in sorted(folder.glob("*.model"))))
             if place.suffix == ".model" and place.is_file()]  # fmt: skip
    return StyleFiles(towers=towers, quantizer=quantizer, vocabulary=next(iter(files), None))


def read_style(files: StyleFiles, config: MusicCoCaConfig | None = None) -> Part:
    """Loads a style model, which proves that its files are whole, and takes its parts.

    Args:
      files: as `find_style` gives them.
      config: geometry; None is that of the release that the files are of.
    Raises:
      CheckpointError: a file is missing.
      BundleError: a file cannot be read.
      ValueError: the files do not belong together.
      MissingExtraError: what runs them is not installed.
    """
    if files.tflite is not None:
        form, model = "tflite", musiccoca_tflite.load_tflite(files.tflite, config)
    else:
        wanted = {"towers": files.towers, "quantizer": files.quantizer, "SentencePiece file": files.vocabulary}
        missing = [name for name, place in wanted.items() if place is None]
        if files.towers is None or files.quantizer is None or files.vocabulary is None:
            have = ", ".join(str(place) for place in wanted.values() if place is not None)
            raise CheckpointError(f"the style model has no {missing[0]} beside {have}; name it behind --style as well")
        form = "savedmodel"
        model = musiccoca_savedmodel.load_savedmodels(files.towers, files.quantizer, files.vocabulary, config)
    fields, tensors, assets = model.to_parts()
    return Part(
        config=fields,
        tensors=tensors,
        assets=assets,
        record={"form": form},
        num_parameters=sum(math.prod(np.shape(tensor)) for tensor in tensors.values()),
    )
