"""A prepared folder as training reads it."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from magenta_rt_py.bundle import Bundle
from magenta_rt_py.errors import PreparedDataError
from magenta_rt_py.train.prepare.index import INDEX_NAME, PreparedIndex, check_bundle, check_shards, read_index


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """Token shards for `train/data.py`, and where they come from.

    Attributes:
      directory: the prepared folder.
      shard_paths: shards to train on.
      held_out_paths: shards of held-out files, for evaluation only; empty where there was but one file.
      index: settings, files, what was left out.
    """

    directory: Path
    shard_paths: tuple[Path, ...]
    held_out_paths: tuple[Path, ...]
    index: PreparedIndex

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell this data from any other: of the index, which names every shard's checksum."""
        return hashlib.sha256((self.directory / INDEX_NAME).read_bytes()).hexdigest()[:16]


def open_prepared(directory: str | Path, bundle: Bundle) -> Prepared:
    """Opens a prepared folder for a bundle.

    Args:
      directory: what `mrtpy prepare` wrote.
      bundle: whose codec and style model the tokens must be of.
    Returns:
      paths for `load_split(prepared.shard_paths, prepared.held_out_paths)`.
    Raises:
      PreparedDataError: no prepared folder, unfinished, damaged, of another bundle, or nothing in it to train on.
    """
    path = Path(directory)
    index = read_index(path)
    check_bundle(index, path, bundle)
    check_shards(index, path)
    training = tuple(path / shard.name for shard in index.shards if not shard.held_out)
    if not training:
        raise PreparedDataError(f"{path} holds nothing to train on; its {INDEX_NAME} says why each file was left out")
    held_out = tuple(path / shard.name for shard in index.shards if shard.held_out)
    return Prepared(directory=path, shard_paths=training, held_out_paths=held_out, index=index)
