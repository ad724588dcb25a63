"""One file from the hub to the disk: it goes on from where it was interrupted, and is checked before it counts.

The hub's library (2.4) goes on within one call only and throws away what it has when the call fails
(huggingface/huggingface_hub, issue 4196). Checkpoints are gigabytes, so the partial file is kept here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from magenta_rt_py.released.hub_error import FetchError, asking
from magenta_rt_py.released.listing import Listing, RemoteFile, import_hub

PARTIAL_SUFFIX = ".mrtpy.partial"
_DIGEST_LETTERS = 12  # of the checksum in a partial file's name: another version of the file starts anew
_ATTEMPTS = 2  # of content that turns out damaged
PIECE_BYTES = 2**16
"""What is written at once, and so the most that a broken connection loses. The library's own pieces are 10 MB: over a line
that breaks more often than that, it would never get anywhere."""

Say = Callable[[str], None]
"""Takes a line for the user."""


def partial_path(target: Path, file: RemoteFile) -> Path:
    """Where a file lies while it is incomplete."""
    return target.with_name(f"{target.name}.{file.checksum.digest[:_DIGEST_LETTERS]}{PARTIAL_SUFFIX}")


def partial_bytes(target: Path, file: RemoteFile) -> int:
    """How much of a file is here from an earlier, interrupted run."""
    partial = partial_path(target, file)
    return min(partial.stat().st_size, file.size) if partial.is_file() else 0


def download(
    file: RemoteFile, target: Path, listing: Listing, *, endpoint: str | None, say: Say, show_progress: bool
) -> int:
    """Brings one file.

    Args:
      target: where the content goes; its folder is made.
      endpoint: address of the hub, see `listing.ask`.
      say: told about anything unusual.
      show_progress: whether the library draws its bar on stderr.
    Returns:
      bytes that had to come.
    Raises:
      FetchError: it could not be had; what has come is kept for the next time.
    """
    partial = partial_path(target, file)
    received = 0
    for attempt in range(_ATTEMPTS):
        with asking(listing.repository, listing.revision, file=file.path), _our_way(show_progress):
            target.parent.mkdir(parents=True, exist_ok=True)
            before = partial_bytes(target, file)
            if before and not attempt:
                say(f"{file.path}: going on from {before / 1e6:.1f} of {file.size / 1e6:.1f} MB")
            _receive(file, partial, listing, endpoint)
        received += partial.stat().st_size - before
        if partial.stat().st_size == file.size and file.checksum.of(partial) == file.checksum.digest:
            partial.replace(target)
            return received
        partial.unlink()
        say(f"{file.path}: what came is damaged ({file.checksum.kind} differs); fetching it again")
    raise FetchError(
        f"{listing.repository}/{file.path}: came damaged {_ATTEMPTS} times (its {file.checksum.kind} is not "
        f"{file.checksum.digest}); try again later, or from another network"
    )


def _receive(file: RemoteFile, partial: Path, listing: Listing, endpoint: str | None) -> None:
    """Adds to the partial file what it lacks."""
    hub = import_hub()
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    url = hub.hf_hub_url(listing.repository, file.path, revision=listing.commit, endpoint=endpoint)
    if partial.is_file() and partial.stat().st_size > file.size:
        partial.unlink()
    with partial.open("ab") as stream:
        http_get(
            url,  # the hub refers to its content store, and the library leaves the token behind when it goes there
            stream,
            resume_size=stream.tell(),
            headers={**build_hf_headers(), "Accept-Encoding": "identity"},  # a compressed answer cannot be gone on with
            expected_size=file.size,
            displayed_filename=file.path,
        )


@contextlib.contextmanager
def _our_way(show_progress: bool) -> Iterator[None]:
    """Small pieces; bars, and the library's own words about retries, only where somebody watches."""
    from huggingface_hub import constants
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars, logging

    piece_bytes, verbosity, bars = constants.DOWNLOAD_CHUNK_SIZE, logging.get_verbosity(), not are_progress_bars_disabled()
    constants.DOWNLOAD_CHUNK_SIZE = PIECE_BYTES
    if not show_progress:
        disable_progress_bars()
        logging.set_verbosity_error()
    try:
        yield
    finally:
        constants.DOWNLOAD_CHUNK_SIZE = piece_bytes
        logging.set_verbosity(verbosity)
        if bars:
            enable_progress_bars()
