"""Files of a folder, on disk or inside a tar archive: both are read in the same way, and an archive is never unpacked."""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Mapping
from pathlib import Path

from magenta_rt_py.errors import CheckpointError


class _Archive:
    """An open tar archive, closed when no tree is left that reads from it."""

    def __init__(self, path: Path):
        self.opened = tarfile.open(path)  # noqa: SIM115  see __del__

    def __del__(self) -> None:
        if "opened" in vars(self):
            self.opened.close()


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileTree:
    """A folder's files.

    Attributes:
      path: the folder or the archive, for messages.
      sizes: name -> bytes of every regular file; names are relative to the folder, with slashes.
      folder: where they lie, or None inside an archive.
    """

    path: Path
    sizes: Mapping[str, int]
    folder: Path | None = None
    _archive: _Archive | None = None
    _members: Mapping[str, tarfile.TarInfo] = dataclasses.field(default_factory=dict)

    def read(self, name: str) -> bytes:
        """The content of one file.

        Raises:
          CheckpointError: it is not there, or shorter than the folder or archive says.
        """
        if name not in self.sizes:
            raise CheckpointError(f"{self.path} has no file {name!r}; get the checkpoint again")
        try:
            data = self._read_member(name) if self.folder is None else (self.folder / name).read_bytes()
        except (OSError, tarfile.TarError, EOFError) as error:
            raise CheckpointError(f"{self.path}: {name!r} cannot be read ({error}); get the checkpoint again") from error
        if len(data) != self.sizes[name]:
            raise CheckpointError(
                f"{self.path}: {name!r} has {len(data)} bytes instead of {self.sizes[name]}; get the checkpoint again"
            )
        return data

    def below(self, folder: str) -> FileTree:
        """The same files seen from a folder of theirs; "" is this tree."""
        if not folder:
            return self
        start = f"{folder}/"
        return dataclasses.replace(
            self,
            path=self.path / folder if self.folder else self.path,
            sizes={name.removeprefix(start): size for name, size in self.sizes.items() if name.startswith(start)},
            folder=self.folder / folder if self.folder else None,
            _members={name.removeprefix(start): one for name, one in self._members.items() if name.startswith(start)},
        )

    def _read_member(self, name: str) -> bytes:
        assert self._archive is not None  # there is no folder, so there is an archive
        opened = self._archive.opened.extractfile(self._members[name])
        assert opened is not None  # only regular files are listed
        return opened.read()


def open_tree(path: Path) -> FileTree:
    """The files of a folder or a tar archive.

    Raises:
      CheckpointError: there is neither, or the archive is damaged.
    """
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        sizes = {file.relative_to(path).as_posix(): file.stat().st_size for file in files}
        return FileTree(path=path, sizes=sizes, folder=path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such folder or archive; check the path")
    try:
        archive = _Archive(path)
        members = {member.name.removeprefix("./"): member for member in archive.opened.getmembers() if member.isfile()}
    except (tarfile.TarError, OSError, EOFError) as error:
        raise CheckpointError(f"{path}: is no tar archive, or a damaged one ({error}); get it again") from error
    return FileTree(
        path=path,
        sizes={name: member.size for name, member in members.items()},
        _archive=archive,
        _members=members,
    )
