"""What a repository of the hub holds at one revision: names, sizes and checksums, as the hub itself tells them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from magenta_rt_py.errors import MissingExtraError
from magenta_rt_py.released.checksum import Checksum
from magenta_rt_py.released.hub_error import asking

ANSWER_SECONDS = 30.0
"""How long the hub may take to answer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a repository."""

    path: str
    """Within the repository."""
    size: int
    """In bytes."""
    checksum: Checksum
    """Of its content."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listing:
    """A repository at one revision."""

    repository: str
    """Owner/name."""
    revision: str
    """What was asked for: a branch, a tag or a commit."""
    commit: str
    """What that was when it was asked: 40 hexadecimal digits."""
    files: tuple[RemoteFile, ...]
    """All its files."""


def ask(repository: str, revision: str, *, endpoint: str | None = None) -> Listing:
    """Asks the hub.

    Args:
      repository: owner/name.
      revision: branch, tag or commit.
      endpoint: address of the hub; None takes HF_ENDPOINT, or the public one.
    Raises:
      FetchError: the hub cannot be reached, or refuses; `unreachable` tells which.
      MissingExtraError: huggingface_hub is not installed.
    """
    hub = import_hub()
    with asking(repository, revision):
        found = hub.HfApi(endpoint=endpoint).model_info(
            repository, revision=revision, files_metadata=True, timeout=ANSWER_SECONDS
        )
    files = []
    for entry in found.siblings or ():
        kind, digest = ("sha256", entry.lfs.sha256) if entry.lfs else ("git-sha1", entry.blob_id)
        size = entry.lfs.size if entry.lfs else entry.size
        checksum = Checksum(kind=kind, digest=digest)
        files.append(RemoteFile(path=_checked_path(entry.rfilename), size=size or 0, checksum=checksum))
    return Listing(repository=repository, revision=revision, commit=found.sha, files=tuple(files))


def save(listing: Listing, folder: Path) -> None:
    """Keeps a listing for the time without a network; a folder that cannot be written keeps none."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        partial = _kept_at(folder, listing.revision).with_suffix(".partial")
        partial.write_text(json.dumps(dataclasses.asdict(listing), indent=1) + "\n")
        partial.replace(_kept_at(folder, listing.revision))


def kept(repository: str, revision: str, folder: Path) -> Listing | None:
    """The listing that `save` kept, or None."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        fields = json.loads(_kept_at(folder, revision).read_text())
        files = [
            RemoteFile(path=_checked_path(file["path"]), size=int(file["size"]), checksum=Checksum(**file["checksum"]))
            for file in fields.pop("files")
        ]
        listing = Listing(files=tuple(files), **fields)
        return listing if listing.repository == repository else None
    return None


def import_hub() -> Any:
    """The package huggingface_hub.

    Raises:
      MissingExtraError: it is not installed.
    """
    try:
        import huggingface_hub
        import huggingface_hub.constants
    except ImportError as error:
        raise MissingExtraError("fetching released files", "huggingface_hub", "released") from error
    return huggingface_hub


def _kept_at(folder: Path, revision: str) -> Path:
    return folder / f"listing-{re.sub(r'[^0-9A-Za-z.-]', '_', revision)}.json"


def _checked_path(path: str) -> str:
    """Refuses a name that would lead out of the folder that files are put into."""
    if path.startswith("/") or "\\" in path or ":" in path or ".." in path.split("/"):
        raise ValueError(f"the repository names a file {path!r}, which leads elsewhere; do not use this repository")
    return path
