"""Where fetched files are kept: the hub's own cache, which other programs share, or a folder of the user's choice."""

from __future__ import annotations

import abc
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from magenta_rt_py.released.hub_error import asking
from magenta_rt_py.released.listing import Listing, RemoteFile, import_hub

STATE_FOLDER = ".magenta_rt_py"
"""Beside the files: the listing kept for offline use, and which files have been checked."""


class Store(abc.ABC):
    """A place for the files of one repository.

    Attributes:
      folder: what must have room.
      state: for what is remembered about the files.
    """

    folder: Path
    state: Path

    @abc.abstractmethod
    def root(self, listing: Listing) -> Path:
        """The folder in which the files lie under their paths within the repository."""

    @abc.abstractmethod
    def content_path(self, file: RemoteFile) -> Path:
        """Where a file's content goes."""

    @abc.abstractmethod
    def publish(self, file: RemoteFile, listing: Listing) -> None:
        """Makes content that has arrived visible under `root`."""

    def path(self, file: RemoteFile, listing: Listing) -> Path:
        """A file under `root`."""
        return self.root(listing) / file.path

    def find(self, file: RemoteFile, listing: Listing) -> Path | None:
        """A file's content, if any is here; whether it is right is for others to say."""
        places = (self.path(file, listing), self.content_path(file))
        return next((place for place in places if place.is_file()), None)

    @contextlib.contextmanager
    def lock(self, file: RemoteFile, listing: Listing) -> Iterator[None]:
        """Keeps two programs from bringing the same file at once; the second waits."""
        import_hub()
        from huggingface_hub.utils import WeakFileLock

        with contextlib.ExitStack() as stack:
            with asking(listing.repository, listing.revision, file=file.path):
                self.state.mkdir(parents=True, exist_ok=True)
                stack.enter_context(WeakFileLock(self.state / f"{file.checksum.digest}.lock"))
            yield

    def discard(self, file: RemoteFile, listing: Listing) -> None:
        """Takes a damaged file away."""
        for place in (self.path(file, listing), self.content_path(file)):
            place.unlink(missing_ok=True)


class FolderStore(Store):
    """A plain folder: every file under its path within the repository."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made before the first file comes."""
        self.folder = folder.expanduser()
        self.state = self.folder / STATE_FOLDER

    def root(self, listing: Listing) -> Path:
        """See Store."""
        return self.folder

    def content_path(self, file: RemoteFile) -> Path:
        """See Store."""
        return self.folder / file.path

    def publish(self, file: RemoteFile, listing: Listing) -> None:
        """See Store; it is there already."""


class CacheStore(Store):
    """The hub library's cache: content in blobs/ under its checksum, names in snapshots/<commit>/ as links to it."""

    def __init__(self, repository: str, *, cache: Path | None = None, endpoint: str | None = None) -> None:
        """The cache folder None means HF_HUB_CACHE, or hub/ in HF_HOME."""
        hub = import_hub()
        self._cache = Path(cache or hub.constants.HF_HUB_CACHE).expanduser()
        self._endpoint = endpoint
        self.folder = self._cache / f"models--{repository.replace('/', '--')}"
        self.state = self.folder / STATE_FOLDER

    def root(self, listing: Listing) -> Path:
        """See Store."""
        return self.folder / "snapshots" / listing.commit

    def content_path(self, file: RemoteFile) -> Path:
        """See Store."""
        return self.folder / "blobs" / file.checksum.digest

    def publish(self, file: RemoteFile, listing: Listing) -> None:
        """See Store. The library itself makes the link, or a copy where links are not supported; no content is sent."""
        if self.path(file, listing).is_file():
            return
        if os.path.islink(self.path(file, listing)):  # to content that is gone
            self.path(file, listing).unlink()
        with asking(listing.repository, listing.revision, file=file.path):
            import_hub().hf_hub_download(
                listing.repository,
                file.path,
                revision=listing.commit,
                cache_dir=self._cache,
                endpoint=self._endpoint,
            )
