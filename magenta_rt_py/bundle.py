"""A model bundle: one directory that holds every weight and setting of a model, and how it came to be.

    starter/
      bundle.json                 format version, configs, training record, size and sha256 of every shard
      codec-00000.safetensors     weights of the part "codec", at most 16 MiB a file
      lm-00000.safetensors        ...
      style/towers/...            assets, if there are any: files of other programs, carried unchanged

Nothing of ours in a bundle is executable: the settings are JSON, the weights are safetensors. Writing and reading hold
one shard at a time beside the tensors themselves, so that a model of several gigabytes fits.

Storage. Matrices may be stored as int8 with float32 scales, symmetric around zero: value = stored * scale. The
scale tensor keeps the axes it was reduced over with length 1, so its shape says whether columns or rows share
a scale. Columns suit the kernels of dense layers ([in, out]), rows suit codebooks; the writer takes whichever
loses less. Small tensors (below 4096 numbers) stay float32; integers are stored as they are.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from magenta_rt_py.errors import BundleError

__all__ = ["FORMAT_VERSION", "Bundle", "load_bundle", "save_bundle", "starter_path", "update_record"]

FORMAT_VERSION = 1
FORMAT_NAME = "magenta_rt_py bundle"
SHARD_BYTES = 16 * 2**20  # largest file; keeps bundles movable through size-limited channels
SHARD_HEADER_BYTES = 64 * 2**10  # room kept for the safetensors header of a shard
QUANTIZE_FROM_NUMBERS = 4096  # smaller tensors (biases, norms, scales) cost little and matter much
SCALE_SHARE = 1 / 8  # scales may take at most this share of the bytes of what they scale
HASH_BLOCK_BYTES = 2**20  # files are read for their checksum in pieces of this size

_INDEX = "bundle.json"
_SCALE = ":scale"  # suffix of the scales of an int8 tensor
_PIECE = ":piece"  # suffix of the parts of a tensor that is larger than a shard

Tensors = dict[str, np.ndarray]
LazyTensors = Mapping[str, Any]
"""Slash path to array, or to a function that gives the array when it is its turn to be written."""
FileEntry = dict[str, Any]
"""Size ("bytes") and checksum ("sha256") of a file."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A loaded and verified bundle; the weights are read when asked for.

    Attributes:
      path: its directory.
      format_version: of the directory layout, see FORMAT_VERSION.
      configs: settings of each part ("codec", "style", "lm", "refinement") as its config class wrote them.
      record: how it was trained, what was measured, licences, and defaults such as bpm.
      shards: part -> names of its weight files, in order.
      assets: names of the files that are carried unchanged, relative to `path`, with slashes; sorted.
    """

    path: Path
    format_version: int
    configs: dict[str, dict[str, Any]]
    record: dict[str, Any]
    shards: dict[str, list[str]]
    assets: tuple[str, ...] = ()

    def tensors(self, part: str) -> Tensors:
        """Reads the weights of one part.

        Args:
          part: a key of `configs`.
        Returns:
          slash path -> float32 array, whatever it was stored as; integer tensors keep their type.
        Raises:
          ValueError: the bundle has no such part.
          BundleError: a file cannot be read any more.
        """
        if part not in self.shards:
            raise ValueError(f"{self.path} has no part {part!r}; it has {', '.join(sorted(self.shards))}")
        stored: Tensors = {}
        for name in self.shards[part]:
            stored.update(_read_shard(self.path / name))
        return _restore(stored)

    def asset_path(self, prefix: str) -> Path:
        """Where an asset, or a folder of assets, lies.

        Args:
          prefix: name of an asset ("style/towers/spm.model") or of a folder with assets below it ("style/towers").
        Raises:
          ValueError: the bundle carries nothing of that name.
        """
        folder = prefix.rstrip("/")
        if not any(name == folder or name.startswith(f"{folder}/") for name in self.assets):
            held = ", ".join(self.assets[:5]) or "none"
            raise ValueError(f"{self.path} carries no asset {prefix!r}; it has {held}: convert the model again")
        return self.path.joinpath(*folder.split("/"))

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell this bundle from any other: of its index, which names every file's checksum."""
        return hashlib.sha256((self.path / _INDEX).read_bytes()).hexdigest()[:16]

    def part_fingerprint(self, part: str) -> str:
        """16 hexadecimal digits of one part's config, weights and assets as they are stored, whatever else the bundle holds.

        Raises:
          ValueError: the bundle has no such part.
        """
        if part not in self.shards:
            raise ValueError(f"{self.path} has no part {part!r}; it has {', '.join(sorted(self.shards))}")
        index = _read_index(self.path)
        files = [index["shards"][name]["sha256"] for name in self.shards[part]]
        assets = [[name, index["assets"][name]["sha256"]] for name in self.assets if name.startswith(f"{part}/")]
        said = json.dumps([self.configs[part], files, assets], sort_keys=True, allow_nan=False)
        return _sha256(said.encode())[:16]

    def storage(self, part: str) -> str:
        """How the matrices of a part are stored, as `save_bundle` is told: "int8", "float16" or "float32".

        Raises:
          BundleError: a file cannot be read any more.
        """
        kinds: set[str] = set()
        for name in self.shards[part]:
            types = _types_in_shard(self.path / name)
            kinds |= {kind for path, kind in types.items() if kind[0] == "F" or path + _SCALE in types}
        return next((name for kind, name in (("I8", "int8"), ("F16", "float16")) if kind in kinds), "float32")

    @property
    def num_bytes(self) -> int:
        """Size of the bundle's files on disk."""
        names = [_INDEX, *(name for part in self.shards.values() for name in part), *self.assets]
        return sum((self.path / name).stat().st_size for name in names)


def starter_path() -> Path:
    """Directory of the starter bundle that is installed with this package."""
    return Path(__file__).resolve().parent / "starter"


# ---------------------------------------------------------------------------------------------- writing


def save_bundle(
    directory: str | os.PathLike,
    *,
    parts: Mapping[str, tuple[Mapping[str, Any], LazyTensors]],
    record: Mapping[str, Any],
    storage: Mapping[str, str] | None = None,
    assets: Mapping[str, str | os.PathLike] | None = None,
    base: Bundle | None = None,
) -> Path:
    """Writes a bundle; the same arguments always give the same bytes.

    A new bundle appears whole or not at all. One that was there before keeps its files until all new ones are written;
    then they are replaced, the index last.

    Args:
      directory: made if need be; older bundle files in it are replaced.
      parts: name -> (config, tensors). The config must be plain JSON data; tensors are slash path -> array, or a
        function that gives the array: it is called once, in the order of the paths, and the array is let go of when
        it is in its shard.
      record: training record, metrics, licences, defaults; plain JSON data.
      storage: how to store float tensors: "int8", "float16" or "float32" (the default), by part name or, to treat
        some tensors of a part differently, by "part/path prefix"; the longest matching key counts.
      assets: name -> file or folder to be carried unchanged; the files of a folder get its name and their path in it.
        A name has a folder ("style/towers/spm.model") whose first word is the part that it belongs to.
      base: a bundle whose other parts are taken over as they are stored, with their assets; it may lie in `directory`.
    Returns:
      the directory.
    Raises:
      ValueError: a tensor holds NaN or infinity, a name clashes with the format, or a storage is unknown.
      OSError: an asset cannot be read, or the disk is full. Either way nothing has been changed.
    """
    target = Path(directory)
    sources = _asset_files(assets or {})
    index = _index_of_kept(base, {*parts, *(name.split("/")[0] for name in sources)}, set(parts))
    kept = [*index["shards"], *index["assets"]]
    index["record"] = record
    index["parts"] |= {part: {"config": config, "shards": []} for part, (config, _) in parts.items()}
    _index_text(index)  # before anything is written: it may refuse a config that is not JSON
    with _work_folder(target) as work:
        for part, (_, tensors) in sorted(parts.items()):
            for number, group in enumerate(_split(_stored(part, tensors, storage or {}))):
                name = f"{part}-{number:05d}.safetensors"
                data = save_safetensors(group)
                (work / name).write_bytes(data)
                index["parts"][part]["shards"].append(name)
                index["shards"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        index["assets"] |= {name: _copy(source, work / name) for name, source in sources.items()}
        if base is not None and not (target.is_dir() and base.path.samefile(target)):
            for name in kept:
                _copy(base.path / name, work / name)
        if not index["assets"]:
            del index["assets"]  # so that a bundle without any has the bytes that it always had
        (work / _INDEX).write_text(_index_text(index))
        _move_into(target, work, index)
    return target


def _index_of_kept(base: Bundle | None, replaced_assets: set[str], replaced_parts: set[str]) -> dict[str, Any]:
    """An index with what is taken over from another bundle: parts and assets of the parts that are not replaced."""
    index: dict[str, Any] = {"format": FORMAT_NAME, "format_version": FORMAT_VERSION}
    index |= {"parts": {}, "shards": {}, "assets": {}}
    if base is None:
        return index
    old = _read_index(base.path)
    for part in base.configs.keys() - replaced_parts:
        index["parts"][part] = old["parts"][part]
        index["shards"] |= {name: old["shards"][name] for name in base.shards[part]}
    for name in base.assets:
        if name.split("/")[0] not in replaced_assets:
            index["assets"][name] = old["assets"][name]
    return index


@contextlib.contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """An empty folder on the disk of `target`, gone afterwards unless it became the target."""
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"cannot write the bundle {target}: a file of that name is there; give another folder")
    place = target if target.is_dir() else target.parent
    place.mkdir(parents=True, exist_ok=True)
    work = place / f".{target.name}.{os.getpid()}.part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _move_into(target: Path, work: Path, index: Mapping[str, Any]) -> None:
    """Puts the files of a finished bundle in their place and removes those that they replace."""
    if not target.exists():
        work.rename(target)
        return
    before = _assets_on_record(target)
    names = sorted(file.relative_to(work).as_posix() for file in work.rglob("*") if file.is_file())
    for name in sorted(names, key=lambda name: name == _INDEX):  # the index last: it vouches for the others
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(work / name, target / name)
    for old in target.glob("*.safetensors"):
        if old.name not in index["shards"]:
            old.unlink()
    for name in before - index.get("assets", {}).keys():
        (target / name).unlink(missing_ok=True)
        for folder in list((target / name).parents)[: name.count("/")]:
            with contextlib.suppress(OSError):  # other files are in it
                folder.rmdir()


def _assets_on_record(directory: Path) -> set[str]:
    """Names of the assets of the bundle that lies in a folder, if one does."""
    try:
        names = json.loads((directory / _INDEX).read_text()).get("assets", {})
        return {name for name in names if _leads_below(name)}
    except (OSError, ValueError, AttributeError):
        return set()


def _asset_files(assets: Mapping[str, str | os.PathLike]) -> dict[str, Path]:
    """Name of every single file -> where it comes from."""
    files: dict[str, Path] = {}
    for name, source in assets.items():
        origin = Path(source)
        if origin.is_dir():
            below = sorted(path for path in origin.rglob("*") if path.is_file() and not path.name.startswith("."))
            files |= {f"{name}/{path.relative_to(origin).as_posix()}": path for path in below}
        elif origin.is_file():
            files[name] = origin
        else:
            raise FileNotFoundError(f"asset {name!r}: there is no file or folder {origin}; check the path")
    for name in files:
        if not _leads_below(name):
            raise ValueError(f"got asset name {name!r}, expected one like 'style/towers/spm.model'; rename it")
    return files


def _leads_below(name: str) -> bool:
    """Whether an asset's name is a plain path into a folder of the bundle, on every system."""
    words = name.split("/")
    return len(words) > 1 and not {"", ".", ".."} & set(words) and not set(name) & set("\\:\0")


def _copy(source: Path, copy: Path) -> FileEntry:
    """Copies a file block by block."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, copy)
    return {"bytes": copy.stat().st_size, "sha256": _sha256_of(copy)}


def _stored(part: str, tensors: LazyTensors, storage: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays that go into the files of a part, in order."""
    for path, given in sorted(tensors.items(), key=lambda item: item[0]):
        tensor = np.asarray(given() if callable(given) else given)
        yield from _store(f"{part}/{path}", path, tensor, storage).items()


def update_record(directory: str | os.PathLike, **entries: Any) -> None:
    """Adds entries to a bundle's record (metrics measured after training) and leaves the weights alone."""
    path = Path(directory)
    load_bundle(path)
    index = json.loads((path / _INDEX).read_text())
    index.pop("checksum")
    index["record"] = {**index["record"], **entries}
    (path / _INDEX).write_text(_index_text(index))


def _index_text(index: dict[str, Any]) -> str:
    """The JSON text of an index, with a checksum over all of it so that a changed setting is noticed."""
    return json.dumps({**index, "checksum": _checksum(index)}, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _checksum(index: dict[str, Any]) -> str:
    return _sha256(json.dumps(index, sort_keys=True, allow_nan=False).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sha256_of(file: Path) -> str:
    """Checksum of a file, read block by block."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _store(address: str, path: str, tensor: np.ndarray, storage: Mapping[str, str]) -> Tensors:
    """One tensor as the arrays that go into the file: itself, or an int8 array and its scales."""
    if _SCALE in path or _PIECE in path:
        raise ValueError(f"tensor {address!r}: ':scale' and ':piece' are reserved; rename it")
    if tensor.dtype.kind in "iub":
        return {path: np.asarray(tensor, order="C")}
    tensor = np.asarray(tensor, dtype=np.float32, order="C")  # ascontiguousarray would make scalars vectors
    if not np.isfinite(tensor).all():
        raise ValueError(f"tensor {address!r} holds NaN or infinity; train it again before saving it")
    keys = [key for key in storage if address == key or address.startswith(key.rstrip("/") + "/")]
    kind = storage[max(keys, key=len)] if keys else "float32"
    if kind not in ("int8", "float16", "float32"):
        raise ValueError(f"tensor {address!r}: unknown storage {kind!r}; use int8, float16 or float32")
    if kind == "float32" or tensor.size < QUANTIZE_FROM_NUMBERS:
        return {path: tensor}
    if kind == "float16":
        if np.abs(tensor).max() > np.finfo(np.float16).max:
            raise ValueError(f"tensor {address!r} has values beyond float16's 65504; store it as float32")
        return {path: tensor.astype(np.float16)}
    if tensor.ndim < 2:
        return {path: tensor}
    quantized, scale = _quantize(tensor)
    return {path: quantized, path + _SCALE: scale}


def _quantize(tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 values and their scales, shared along the axes that lose least."""
    every_column = tuple(range(tensor.ndim - 1))
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for axes in dict.fromkeys([every_column, (tensor.ndim - 2,), (tensor.ndim - 1,)]):
        peak = np.abs(tensor).max(axis=axes, keepdims=True)
        if axes != every_column and peak.size * 4 > tensor.size * SCALE_SHARE:
            continue
        scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
        quantized = np.clip(np.rint(tensor / scale), -127, 127).astype(np.int8)
        error = float(np.square(quantized * scale - tensor, dtype=np.float64).sum())
        if best is None or error < best[0]:
            best = error, quantized, scale
    assert best is not None  # every_column is always tried
    return best[1], best[2]


def _split(stored: Iterable[tuple[str, np.ndarray]]) -> Iterator[Tensors]:
    """Groups arrays into shards of at most SHARD_BYTES, in the order given; cuts up arrays larger than that."""
    room = SHARD_BYTES - SHARD_HEADER_BYTES
    group: Tensors = {}
    used = 0
    for path, array in stored:
        pieces = {path: array}
        if array.nbytes > room:
            flat = array.reshape(-1)
            count = room // array.itemsize
            cuts = range(0, flat.size, count)
            pieces = {f"{path}{_PIECE}{i:04d}": flat[start : start + count] for i, start in enumerate(cuts)}
            pieces[f"{path}{_PIECE}shape"] = np.array(array.shape, np.int64)
        for name, piece in pieces.items():
            cost = piece.nbytes + len(name) + 128  # 128: the rest of an entry in the header
            if used and used + cost > room:
                yield group
                group, used = {}, 0
            group[name] = piece
            used += cost
    yield group


# ---------------------------------------------------------------------------------------------- reading


def load_bundle(path: str | os.PathLike) -> Bundle:
    """Opens a bundle and checks every file of it against bundle.json before any of it is used.

    Args:
      path: the bundle's directory.
    Returns:
      the bundle; its weights are read by `Bundle.tensors`.
    Raises:
      BundleError: a file is missing, cut short or changed, or the format version is not this program's.
    """
    directory = Path(path)
    index = _read_index(directory)
    try:
        parts = {str(part): entry for part, entry in index["parts"].items()}
        shards = {part: [str(name) for name in entry["shards"]] for part, entry in parts.items()}
        configs = {part: dict(entry["config"]) for part, entry in parts.items()}
        expected = {name: index["shards"][name] for names in shards.values() for name in names}
        assets = {str(name): dict(entry) for name, entry in index.get("assets", {}).items()}
        record = dict(index["record"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"not a complete bundle index ({error!r})"
        raise BundleError(f"{directory / _INDEX}: {reason}; get the bundle again") from error
    for name, entry in expected.items():
        if Path(name).name != name:  # a name must not lead out of the bundle
            raise BundleError(f"{directory / _INDEX}: {name!r} is not a plain file name; get the bundle again")
        _verify_file(directory / name, entry)
    for name, entry in assets.items():
        if not _leads_below(name):
            raise BundleError(f"{directory / _INDEX}: asset {name!r} leads out of the bundle; get the bundle again")
        _verify_file(directory / name, entry)
    _refuse_strangers(directory, assets)
    return Bundle(
        path=directory,
        format_version=FORMAT_VERSION,
        configs=configs,
        record=record,
        shards=shards,
        assets=tuple(sorted(assets)),
    )


def _read_index(directory: Path) -> dict[str, Any]:
    file = directory / _INDEX
    if not file.is_file():
        raise BundleError(f"{directory}: no model bundle here (no {_INDEX}); check the path, or run `make starter`")
    try:
        index = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BundleError(f"{file}: not readable as JSON ({error}); get the bundle again") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT_NAME:
        raise BundleError(f"{file}: is not a {FORMAT_NAME}; give the directory that save_bundle wrote")
    if index.get("format_version") != FORMAT_VERSION:
        found = f"format version is {index.get('format_version')!r}, this program reads {FORMAT_VERSION}"
        raise BundleError(f"{file}: {found}; update the older of the two")
    checksum = index.pop("checksum", None)
    if checksum != _checksum(index):
        raise BundleError(f"{file}: was changed after it was written (checksum differs); get the bundle again")
    return index


def _verify_file(file: Path, entry: FileEntry) -> None:
    try:
        size = file.stat().st_size
        if size != entry["bytes"]:
            raise BundleError(f"{file}: has {size} bytes instead of {entry['bytes']}; get the bundle again")
        if _sha256_of(file) != entry["sha256"]:
            raise BundleError(f"{file}: is not what was saved (its sha256 differs); get the bundle again")
    except OSError as error:
        raise BundleError(f"{file}: a file of the bundle is missing; get the bundle again") from error
    except KeyError as error:
        raise BundleError(f"{file}: the index has no {error} of it; get the bundle again") from error


def _refuse_strangers(directory: Path, assets: Iterable[str]) -> None:
    """Files that were put among the assets: what reads a folder of them would read the stranger too."""
    listed = set(assets)
    for folder in {name.split("/")[0] for name in listed}:
        for file in (directory / folder).rglob("*"):
            name = file.relative_to(directory).as_posix()
            if name not in listed and not file.name.startswith(".") and not file.is_dir():
                raise BundleError(f"{file}: is among the bundle's assets but not of the bundle; remove it")


def _read_shard(file: Path) -> Tensors:
    try:
        return load_safetensors(file.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise BundleError(f"{file}: cannot be read ({error}); get the bundle again") from error


def _types_in_shard(file: Path) -> dict[str, str]:
    """Name of each array -> its type as the format writes it; the header says, so no weights are read."""
    try:
        with safetensors.safe_open(file, "numpy") as shard:
            return {name: shard.get_slice(name).get_dtype() for name in shard.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise BundleError(f"{file}: cannot be read ({error}); get the bundle again") from error


def _restore(stored: Tensors) -> Tensors:
    """What `_split` cut and `_store` quantized, whole and in float32 again; takes the arrays out of `stored`."""
    tensors: Tensors = {}
    pieces: dict[str, list[str]] = {}
    for name in sorted(stored):
        path, is_piece, _ = name.partition(_PIECE)
        if is_piece:
            pieces.setdefault(path, []).append(name)
    for path, names in pieces.items():  # sorted, so the shape, whose name has letters, is the last
        shape = stored.pop(names[-1])
        stored[path] = np.concatenate([stored.pop(name) for name in names[:-1]]).reshape(shape)
    for path in sorted(stored):
        if path.endswith(_SCALE):
            continue
        array = stored.pop(path)
        if path + _SCALE in stored:
            tensors[path] = array.astype(np.float32) * stored.pop(path + _SCALE)
        else:
            tensors[path] = array.astype(np.float32) if array.dtype.kind == "f" else array
    return tensors
