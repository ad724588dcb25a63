"""The index of a prepared folder: whose tokens it holds, in which shards, from which files, and what was left out.

It is written last, so a folder with an index is whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from magenta_rt_py.bundle import Bundle
from magenta_rt_py.errors import PreparedDataError
from magenta_rt_py.train.disk import write_whole

INDEX_NAME = "index.json"
FORMAT_NAME = "magenta_rt_py prepared music"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One token shard."""

    # Relative to the prepared folder, with slashes.
    name: str
    # Whether it is for evaluation only.
    held_out: bool
    num_bytes: int
    sha256: str
    pieces: int
    # Audio in it.
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class UsedFile:
    """One audio file that became pieces."""

    # Relative to the audio folder, with slashes.
    path: str
    held_out: bool
    pieces: int
    # Audio in these pieces.
    seconds: float
    # Tempo found, beats a minute; None: not certain.
    bpm: float | None
    # Whether its pieces have a clock.
    has_clock: bool
    # What a person should know of it, such as "band limited (8000 Hz)".
    notes: list[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SkippedEntry:
    """One file that was left out."""

    path: str
    # In one line.
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedIndex:
    """Everything that `index.json` says."""

    # Bundle.part_fingerprint of the two parts that made the tokens.
    codec: str
    style: str
    # PrepareConfig.as_dict, or where the tokens were taken from.
    settings: dict[str, Any]
    shards: list[ShardEntry]
    used: list[UsedFile]
    skipped: list[SkippedEntry]

    def seconds(self, *, held_out: bool) -> float:
        """Audio in the shards to train on, or in those held out."""
        return float(sum(shard.seconds for shard in self.shards if shard.held_out == held_out))

    def write(self, directory: Path) -> None:
        """Writes the index, whole or not at all.

        Raises:
          OSError: the disk does not take it; an index that was there is untouched.
        """
        record = {"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **dataclasses.asdict(self)}
        write_whole(directory / INDEX_NAME, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


def read_index(directory: Path) -> PreparedIndex:
    """Reads the index of a prepared folder.

    Raises:
      PreparedDataError: there is none, or it is damaged or of another version.
    """
    path = directory / INDEX_NAME
    if not directory.is_dir():
        raise PreparedDataError(f"{directory} is no directory; give a folder that `mrtpy prepare` wrote")
    if not path.is_file():
        raise PreparedDataError(
            f"{directory} has no {INDEX_NAME}: it is no prepared folder, or its preparation was stopped; "
            "run `mrtpy prepare` (again)"
        )
    try:
        record = json.loads(path.read_text())
        name, version = record.pop("format"), record.pop("format_version")
        if (name, version) != (FORMAT_NAME, FORMAT_VERSION):
            raise PreparedDataError(
                f"{path} is {name!r} of version {version}, expected version {FORMAT_VERSION}; prepare again"
            )
        record["shards"] = [ShardEntry(**entry) for entry in record["shards"]]
        record["used"] = [UsedFile(**entry) for entry in record["used"]]
        record["skipped"] = [SkippedEntry(**entry) for entry in record["skipped"]]
        return PreparedIndex(**record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PreparedDataError(f"{path} is damaged ({error!r}); run `mrtpy prepare` again") from error


def check_bundle(index: PreparedIndex, directory: Path, bundle: Bundle) -> None:
    """Refuses tokens of another bundle: its codes would stand for other sounds.

    Raises:
      PreparedDataError: codec or style model differ.
    """
    for part, made_by in (("codec", index.codec), ("style", index.style)):
        given = bundle.part_fingerprint(part)
        if given != made_by:
            raise PreparedDataError(
                f"{directory} holds tokens of another {part} ({made_by}) than {bundle.path.name}'s ({given}); "
                "give the bundle that it was prepared with, or prepare the music again into another folder"
            )


def check_shards(index: PreparedIndex, directory: Path) -> None:
    """Refuses shards that are missing or changed.

    Raises:
      PreparedDataError: the first one is named.
    """
    for shard in index.shards:
        path = directory / shard.name
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise PreparedDataError(f"{path} cannot be read ({error.strerror}); run `mrtpy prepare` again") from error
        if found != shard.sha256:
            raise PreparedDataError(f"{path} was changed since it was prepared; run `mrtpy prepare` again")
