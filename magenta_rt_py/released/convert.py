"""Converting: released files into one of our bundles, and a bundle's language model back into a T5X checkpoint.

    checkpoint, SavedModels, safetensors, TFLite programs, a bundle   ->   bundle.json + safetensors shards + assets

Every source is checked by name and shape before anything is written, and the result appears whole or not at all.
"""

from __future__ import annotations

import dataclasses
import errno
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from magenta_rt_py.bundle import Bundle, load_bundle, save_bundle
from magenta_rt_py.released import codec_files, lm_files, style_files
from magenta_rt_py.released.layout import Sources, find_sources, is_bundle
from magenta_rt_py.released.part import Part

__all__ = ["Conversion", "convert", "convert_to_t5x"]

LICENCE = "that of the files it was converted from; the released Magenta RealTime weights: CC-BY-4.0 and terms of use"
SPARE = 1.02
"""Room that is asked for / bytes of the tensors: indexes and headers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conversion:
    """What came of a conversion.

    Attributes:
      bundle: the bundle, verified.
      added: names of the parts that were written; the bundle's other parts were there before.
      num_parameters: name of an added part -> numbers in it.
      notes: what a person should know: assumptions.
    """

    bundle: Bundle
    added: tuple[str, ...]
    num_parameters: Mapping[str, int]
    notes: tuple[str, ...]


def convert(
    out: Path,
    sources: Sequence[Path] = (),
    *,
    codec: Sequence[Path] = (),
    style: Sequence[Path] = (),
    settings: Path | None = None,
    name: str | None = None,
    replace: bool = False,
    storage: str | None = None,
) -> Conversion:
    """Makes a bundle, or adds parts to one.

    Args:
      out: the bundle's folder: a new one, or a bundle that gets the parts that it lacks.
      sources: files and folders of any known form; what they are is found out. A folder of fetched files may hold them
        all. At most one of them is a bundle, whose parts are taken over as they are stored.
      codec: SpectroStream's files or folders.
      style: MusicCoCa's files or folders.
      settings: gin file of the language model; None finds it beside the checkpoint.
      name: of the model, for the record; None keeps that of the bundle, or takes the folder's.
      replace: whether parts that a bundle has already are replaced.
      storage: of the language model's matrices, as of `save_bundle`; None is float32. With int8 a CPU makes its frames in
        `lm.frame_loop`.
    Raises:
      ValueError: nothing was given, a form is not known, a part is there already, or a storage is for no language model.
      CheckpointError, BundleError: a source is damaged or is not what it should be; the tensor is named.
      MissingExtraError: a package that reads a form is not installed.
      OSError: `out` is something else, or the disk is full.
    """
    found = find_sources(sources, codec=codec, style=style)
    base = _base(out, found)
    if not found.parts and (base is None or base.path == out):
        raise ValueError("nothing to convert: give a T5X checkpoint, a bundle, --codec or --style")
    if storage is not None and found.lm is None:
        raise ValueError(f"got storage {storage!r}, but no checkpoint to store so; give one, or leave it out")
    _refuse_parts_that_are_there(base, found, replace)
    parts = _read_parts(found, settings)
    _check_room(out, sum(part.num_bytes for part in parts.values()) + (base.num_bytes if base and base.path != out else 0))
    with _clear_errors(out):
        save_bundle(
            out,
            parts={key: (part.config, part.tensors) for key, part in parts.items()},
            record=_record(base, parts, name or (None if base else out.name)),
            storage={"lm": storage} if storage else None,
            assets={asset: place for part in parts.values() for asset, place in part.assets.items()},
            base=base,
        )
    return Conversion(
        bundle=load_bundle(out),
        added=tuple(parts),
        num_parameters={key: part.num_parameters for key, part in parts.items()},
        notes=tuple(note for part in parts.values() for note in part.notes),
    )


def convert_to_t5x(source: Path, out: Path, *, step: int | None = None, dtype: str | None = None) -> int:
    """Writes a bundle's language model as a T5X checkpoint.

    Args:
      source: the bundle.
      out: a new folder.
      step: training step; None keeps the one that the model came with.
      dtype: "float32" or "bfloat16" for all tensors; None keeps the types that they came in.
    Returns:
      how many parameters were written.
    Raises:
      BundleError: the bundle is damaged, or its model has parts that the form has no place for.
      ValueError: a tensor does not fit its type.
      OSError: `out` is there already, or the disk is full.
    """
    if out.exists():
        raise FileExistsError(f"{out} is there already; give a new folder")
    bundle = load_bundle(source)
    # Compressed float32 weights are hardly smaller; the shards say how much there is.
    _check_room(out, sum((bundle.path / shard).stat().st_size for shard in bundle.shards.get("lm", ())))
    with _clear_errors(out):
        return lm_files.write_lm(bundle, out, step=step, dtype=dtype)


def _base(out: Path, found: Sources) -> Bundle | None:
    """The bundle that is added to: the one that lies at `out`, or the one among the sources."""
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file; give a folder for the bundle")
    there = is_bundle(out)
    if out.is_dir() and not there and any(out.iterdir()):
        raise FileExistsError(f"{out} holds something that is no bundle; give a new folder, or that of a bundle")
    if found.bundle is None:
        return load_bundle(out) if there else None
    if there and not out.samefile(found.bundle):
        raise FileExistsError(f"{out} is a bundle already, and so is {found.bundle}; give a new folder")
    bundle = load_bundle(found.bundle)
    return dataclasses.replace(bundle, path=out) if there else bundle


def _refuse_parts_that_are_there(base: Bundle | None, found: Sources, replace: bool) -> None:
    if base is None or replace:
        return
    if double := sorted(found.parts & base.configs.keys()):
        raise ValueError(f"{base.path} has a {double[0]!r} part already; add --replace to put another in its place")


def _read_parts(found: Sources, settings: Path | None) -> dict[str, Part]:
    """Part name -> what is to be written; the cheapest to refuse comes first."""
    if settings is not None and found.lm is None:
        raise ValueError(f"got settings {settings}, but no checkpoint that they could be of; give one, or leave them out")
    parts: dict[str, Part] = {}
    if found.lm is not None:
        parts["lm"] = lm_files.read_lm(found.lm, settings)
    if found.codec is not None:
        parts["codec"] = codec_files.read_codec(found.codec)
    if found.style is not None:
        parts["style"] = style_files.read_style(found.style)
    return parts


def _record(base: Bundle | None, parts: Mapping[str, Part], name: str | None) -> dict[str, Any]:
    """The bundle's record: what was there, and where the new parts come from."""
    record = dict(base.record) if base else {}
    record["converted"] = {**record.get("converted", {}), **{key: part.record for key, part in parts.items()}}
    record.setdefault("licences", {"weights": LICENCE})
    if "lm" in parts:
        record["defaults"] = dict(lm_files.DEFAULTS)
    if name:
        record["name"] = name
    return record


def _check_room(out: Path, num_bytes: int) -> None:
    place = out.absolute()
    while not place.is_dir():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < num_bytes * SPARE:
        raise OSError(f"{out} needs {num_bytes / 1e9:.2f} GB and {place} has {free / 1e9:.2f} GB left; make room")


@contextmanager
def _clear_errors(out: Path) -> Iterator[None]:
    """Says what to do when the disk is full after all."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(f"{out}: the disk is full; make room, or choose another --out; nothing was changed") from error
        raise
