"""A model bundle: one directory that holds every weight and setting of a model, and how it came to be.

    starter/
      bundle.json                 format version, configs, training record, size and sha256 of every shard
      codec-00000.safetensors     weights of the part "codec", at most 16 MiB a file
      lm-00000.safetensors        ...

Nothing in a bundle is executable: the settings are JSON, the weights are safetensors.

Storage. Matrices may be stored as int8 with float32 scales, symmetric around zero: value = stored * scale. The
scale tensor keeps the axes it was reduced over with length 1, so its shape says whether columns or rows share
a scale. Columns suit the kernels of dense layers ([in, out]), rows suit codebooks; the writer takes whichever
loses less. Small tensors (below 4096 numbers) stay float32; integers are stored as they are.
"""

import hashlib
import json
import os
from collections.abc import Mapping
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

_INDEX = "bundle.json"
_SCALE = ":scale"  # suffix of the scales of an int8 tensor
_PIECE = ":piece"  # suffix of the parts of a tensor that is larger than a shard

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A loaded and verified bundle; the weights are read when asked for.

    Attributes:
      path: its directory.
      format_version: of the directory layout, see FORMAT_VERSION.
      configs: settings of each part ("codec", "style", "lm", "refinement") as its config class wrote them.
      record: how it was trained, what was measured, licences, and defaults such as bpm.
      shards: part -> names of its weight files, in order.
    """

    path: Path
    format_version: int
    configs: dict[str, dict[str, Any]]
    record: dict[str, Any]
    shards: dict[str, list[str]]

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

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell this bundle from any other: of its index, which names every file's checksum."""
        return hashlib.sha256((self.path / _INDEX).read_bytes()).hexdigest()[:16]

    @property
    def num_bytes(self) -> int:
        """Size of the bundle's files on disk."""
        names = [_INDEX, *(name for part in self.shards.values() for name in part)]
        return sum((self.path / name).stat().st_size for name in names)


def starter_path() -> Path:
    """Directory of the starter bundle that is installed with this package."""
    return Path(__file__).resolve().parent / "starter"


# ---------------------------------------------------------------------------------------------- writing


def save_bundle(
    directory: str | os.PathLike,
    *,
    parts: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
    record: Mapping[str, Any],
    storage: Mapping[str, str] | None = None,
) -> Path:
    """Writes a bundle; the same arguments always give the same bytes.

    Args:
      directory: made if need be; older bundle files in it are replaced.
      parts: name -> (config, tensors). The config must be plain JSON data; tensors are slash path -> array.
      record: training record, metrics, licences, defaults; plain JSON data.
      storage: how to store float tensors: "int8", "float16" or "float32" (the default), by part name or, to treat
        some tensors of a part differently, by "part/path prefix"; the longest matching key counts.
    Returns:
      the directory.
    Raises:
      ValueError: a tensor holds NaN or infinity, a name clashes with the format, or a storage is unknown.
    """
    target = Path(directory)
    files: dict[str, bytes] = {}
    shards: dict[str, list[str]] = {}
    for part, (_, tensors) in sorted(parts.items()):
        stored: Tensors = {}
        for path, tensor in sorted(tensors.items()):
            stored.update(_store(f"{part}/{path}", path, np.asarray(tensor), storage or {}))
        shards[part] = []
        for number, group in enumerate(_split(stored)):
            name = f"{part}-{number:05d}.safetensors"
            files[name] = save_safetensors(group)
            shards[part].append(name)
    index = {
        "format": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "parts": {part: {"config": config, "shards": shards[part]} for part, (config, _) in sorted(parts.items())},
        "shards": {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in files.items()},
        "record": record,
    }
    text = _index_text(index)  # before anything is written: it may refuse a config that is not JSON
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.safetensors"):
        if old.name not in files:
            old.unlink()
    for name, data in files.items():
        (target / name).write_bytes(data)
    (target / _INDEX).write_text(text)
    return target


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


def _split(stored: Tensors) -> list[Tensors]:
    """Groups arrays into shards of at most SHARD_BYTES, in the order given; cuts up arrays larger than that."""
    room = SHARD_BYTES - SHARD_HEADER_BYTES
    groups: list[Tensors] = [{}]
    used = 0
    for path, array in stored.items():
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
                groups.append({})
                used = 0
            groups[-1][name] = piece
            used += cost
    return groups


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
        record = dict(index["record"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"not a complete bundle index ({error!r})"
        raise BundleError(f"{directory / _INDEX}: {reason}; get the bundle again") from error
    for name, entry in expected.items():
        _verify_shard(directory, name, entry)
    return Bundle(path=directory, format_version=FORMAT_VERSION, configs=configs, record=record, shards=shards)


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


def _verify_shard(directory: Path, name: str, entry: Mapping[str, Any]) -> None:
    if Path(name).name != name:  # a name must not lead out of the bundle
        raise BundleError(f"{directory / _INDEX}: {name!r} is not a plain file name; get the bundle again")
    file = directory / name
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BundleError(f"{file}: a file of the bundle is missing; get the bundle again") from error
    if len(data) != entry["bytes"]:
        raise BundleError(f"{file}: has {len(data)} bytes instead of {entry['bytes']}; get the bundle again")
    if _sha256(data) != entry["sha256"]:
        raise BundleError(f"{file}: is not what was saved (its sha256 differs); get the bundle again")


def _read_shard(file: Path) -> Tensors:
    try:
        return load_safetensors(file.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise BundleError(f"{file}: cannot be read ({error}); get the bundle again") from error


def _restore(stored: Tensors) -> Tensors:
    """What `_split` cut and `_store` quantized, whole and in float32 again."""
    whole: Tensors = {}
    for name in sorted(stored):
        path, is_piece, _ = name.partition(_PIECE)
        if not is_piece:
            whole[name] = stored[name]
        elif name.endswith("shape"):
            pieces = sorted(other for other in stored if other.startswith(path + _PIECE) and other != name)
            whole[path] = np.concatenate([stored[piece] for piece in pieces]).reshape(stored[name])
    tensors: Tensors = {}
    for path, array in whole.items():
        if path.endswith(_SCALE):
            continue
        if path + _SCALE in whole:
            tensors[path] = array.astype(np.float32) * whole[path + _SCALE]
        else:
            tensors[path] = array.astype(np.float32) if array.dtype.kind == "f" else array
    return tensors
