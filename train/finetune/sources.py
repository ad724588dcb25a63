"""Where a finetune's music comes from: a prepared folder, or token shards."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from magenta_rt_py.bundle import Bundle
from magenta_rt_py.train.prepare.index import INDEX_NAME
from magenta_rt_py.train.prepare.prepared import open_prepared
from magenta_rt_py.train.runs.data_hash import hash_files


class Source(NamedTuple):
    """Token shards, see `train.data`.

    Attributes:
      train: to train on.
      held_out: for evaluation only; empty: a twentieth of the pieces is set aside.
      fingerprint: tells this data from any other.
    """

    train: tuple[Path, ...]
    held_out: tuple[Path, ...]
    fingerprint: str


def open_source(path: str | Path, bundle: Bundle) -> Source:
    """Opens music for a bundle.

    Args:
      path: a prepared folder (`mrtpy prepare`), a folder of token shards (the starter's "tokens"), or one shard.
      bundle: whose codes the tokens are; of a prepared folder this is checked, shards do not say.
    Raises:
      PreparedDataError: a prepared folder is of another bundle, unfinished or damaged.
      FileNotFoundError: there is nothing of the kind.
    """
    path = Path(path)
    if (path / INDEX_NAME).exists():
        prepared = open_prepared(path, bundle)
        return Source(tuple(prepared.shard_paths), tuple(prepared.held_out_paths), prepared.fingerprint)
    shards = tuple(sorted(path.glob("shard-*[0-9].npz"))) if path.is_dir() else (path,)
    if not shards or not all(shard.is_file() for shard in shards):
        raise FileNotFoundError(f"{path} is no prepared folder and holds no token shards; run `mrtpy prepare` first")
    return Source(shards, (), hash_files(shards))
