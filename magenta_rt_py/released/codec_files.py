"""SpectroStream's released files as a part of a bundle: safetensors of the second release, or SavedModels of the first."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors

from magenta_rt_py.codec import spectrostream_config, spectrostream_files
from magenta_rt_py.codec.spectrostream_config import SpectroStreamConfig
from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.released.part import Part
from magenta_rt_py.released.saved_model import is_saved_model, read_variables

KIND = "spectrostream"
"""What a bundle's codec part calls itself."""
SAVED_MODELS = ("encoder", "decoder", "quantizer")
"""Folders of the first release."""

_CODEC_NAMES = re.compile(r"(params/)?(soundstream/)?(encoder|decoder|quantizer)/")
_BEFORE_SCALING = ("weight_norm/kernel", "weight_norm/g", "weight_norm/initialized")
_NAMES_SHOWN = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecFiles:
    """Where a codec's released files lie: either safetensors or the three SavedModels."""

    safetensors: tuple[Path, ...] = ()
    saved_models: Mapping[str, Path] = dataclasses.field(default_factory=dict)


def find_codec(places: list[Path]) -> CodecFiles | None:
    """Finds the files of a codec among some files and folders.

    Args:
      places: safetensors files, a folder of them, the SavedModels' folders, or the folder that has these three in it.
    Returns:
      None if there are none.
    """
    inside = [place / name for place in places if place.is_dir() for name in SAVED_MODELS]
    models = {place.name: place for place in (*places, *inside) if place.name in SAVED_MODELS and is_saved_model(place)}
    if models:
        return CodecFiles(saved_models=models)
    files = [place for place in places if place.suffix == ".safetensors" and place.is_file()]
    for place in places:
        if place.is_dir():
            files += sorted(place.glob("*.safetensors"))
    return CodecFiles(safetensors=tuple(dict.fromkeys(files))) if files else None


def read_codec(files: CodecFiles, config: SpectroStreamConfig | None = None) -> Part:
    """Reads a codec.

    Args:
      files: as `find_codec` gives them.
      config: geometry; None is the released one.
    Raises:
      CheckpointError: a file is damaged, or what is in it does not make this codec: what is missing, surplus or of a
        wrong shape is named.
      MissingExtraError: SavedModels need TensorFlow, which is not installed.
    """
    config = spectrostream_config.released() if config is None else config
    if files.safetensors:
        form, tensors = "safetensors", _from_safetensors(files.safetensors, config)
    else:
        form, tensors = "savedmodels", _from_saved_models(files.saved_models, config)
    return Part(
        config={"kind": KIND, **dataclasses.asdict(config)},
        tensors=tensors,
        record={"form": form},
        num_parameters=sum(math.prod(tensor.shape) for tensor in tensors.values()),
    )


def _from_safetensors(files: tuple[Path, ...], config: SpectroStreamConfig) -> dict[str, np.ndarray]:
    """The codec's tensors out of files that may hold more: a whole model's has its codec in it."""
    found: dict[str, np.ndarray] = {}
    for file in files:
        try:
            with safetensors.safe_open(str(file), framework="flax") as opened:  # flax: NumPy alone has no bfloat16
                for name in opened.keys():  # noqa: SIM118  it is no mapping
                    if not _CODEC_NAMES.match(name):
                        continue
                    tensor = np.asarray(opened.get_tensor(name)).astype(np.float32)
                    if name in found and not np.array_equal(found[name], tensor):
                        raise CheckpointError(f"{file}: tensor {name!r} differs from another file's; use one release")
                    found[name] = tensor
        except (OSError, safetensors.SafetensorError) as error:
            raise CheckpointError(f"{file}: is no safetensors file, or a damaged one ({error}); get it again") from error
    try:
        return spectrostream_files.from_safetensors(config, found)
    except ValueError as error:
        raise CheckpointError(f"{', '.join(map(str, files))}: {error}") from error


def _from_saved_models(folders: Mapping[str, Path], config: SpectroStreamConfig) -> dict[str, np.ndarray]:
    missing = [name for name in SAVED_MODELS if name not in folders]
    if missing:
        beside = next(iter(folders.values())).parent
        raise CheckpointError(f"{beside}: no SavedModel {missing[0]!r} here; get all three of {', '.join(SAVED_MODELS)}")
    variables = {name: read_variables(folders[name]) for name in SAVED_MODELS}
    tables = {level: variables["quantizer"].at(f"_quantizers/{level}/embeddings") for level in range(config.num_levels + 1)}
    codebooks = {level: table for level, table in tables.items() if table is not None}
    try:
        return spectrostream_files.from_saved_models(
            config,
            encoder=_as_used(variables["encoder"].by_name),
            decoder=_as_used(variables["decoder"].by_name),
            codebooks=codebooks,
        )
    except ValueError as error:
        found = {name: sorted(variables[name].by_name) for name in SAVED_MODELS}
        shown = "; ".join(f"{name} has {len(names)}: {', '.join(names[:_NAMES_SHOWN])}" for name, names in found.items())
        raise CheckpointError(
            f"{folders['encoder'].parent}: {error}. The second release's safetensors files can be converted instead. "
            f"Variables found: {shown}"
        ) from error


def _as_used(variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without what weight normalization makes the kernels in use from, where those are there ("rescaled")."""
    used = {}
    for name, value in variables.items():
        start = next((name.removesuffix(end) for end in _BEFORE_SCALING if name.endswith(end)), None)
        if start is None or f"{start}weight_norm/rescaled/kernel" not in variables:
            used[name] = value
    return used
