"""Fetching: what is wanted, what is here already, what must come; then bringing it.

    prepare(asset) -> Plan          asks the hub (or, offline, what was kept), checks what is here
    carry_out(plan) -> Fetched      brings the rest, file by file
    to_bundle(fetched, folder)      makes a bundle of it
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from magenta_rt_py.released import listing as listings
from magenta_rt_py.released.assets import Asset
from magenta_rt_py.released.checksum import CheckedFiles
from magenta_rt_py.released.download import Say, download, partial_bytes
from magenta_rt_py.released.hub_error import FetchError
from magenta_rt_py.released.listing import Listing, RemoteFile
from magenta_rt_py.released.store import CacheStore, FolderStore, Store

__all__ = ["FetchError", "Fetched", "Plan", "carry_out", "fetch", "prepare", "to_bundle"]

DEFAULT_REVISION = "main"
SPARE_BYTES = 50_000_000
"""Room that must be left on the disk besides the files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What one fetch has to do."""

    asset: Asset
    """What is wanted."""
    listing: Listing
    """What the repository holds."""
    store: Store
    """Where it goes."""
    files: tuple[RemoteFile, ...]
    """All files of the asset."""
    missing: tuple[RemoteFile, ...]
    """Those that must come."""
    notes: tuple[str, ...] = ()
    """What the user should know: damaged files, a hub that cannot be reached."""
    endpoint: str | None = None
    """Address of the hub; None is the library's own."""

    @property
    def num_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)

    @property
    def missing_bytes(self) -> int:
        """Bytes that must come: whole files, less what an interrupted fetch has left."""
        return sum(file.size - partial_bytes(self.store.content_path(file), file) for file in self.missing)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fetched:
    """An asset that is on the disk, whole and checked."""

    asset: Asset
    """What it is."""
    root: Path
    """Folder in which the files lie under their paths within the repository."""
    commit: str
    """The repository's commit."""
    num_bytes: int
    """Size of all files."""
    received_bytes: int
    """How much of it had to come."""

    def locations(self, part: str) -> list[Path]:
        """Files and folders that become a part of a bundle ("lm", "codec", "style"), or "testdata"."""
        places = [self.root / resource.location for resource in self.asset.resources if resource.part == part]
        return [place for place in dict.fromkeys(places) if place.exists()]


def fetch(
    asset: Asset,
    *,
    folder: Path | None = None,
    revision: str = DEFAULT_REVISION,
    offline: bool | None = None,
    cache: Path | None = None,
    endpoint: str | None = None,
    say: Say = print,
) -> Fetched:
    """Prepares and carries out; arguments and errors as there. The caller has accepted the licence."""
    made = prepare(asset, folder=folder, revision=revision, offline=offline, cache=cache, endpoint=endpoint)
    for note in made.notes:
        say(note)
    return carry_out(made, say=say)


def prepare(
    asset: Asset,
    *,
    folder: Path | None = None,
    revision: str = DEFAULT_REVISION,
    offline: bool | None = None,
    cache: Path | None = None,
    endpoint: str | None = None,
) -> Plan:
    """Finds out what must come. Nothing is brought, and nothing is changed but what is remembered.

    Args:
      asset: what is wanted.
      folder: where to put the files; None is the hub library's cache (HF_HOME).
      revision: branch, tag or commit of the repository.
      offline: True asks nobody; None follows HF_HUB_OFFLINE.
      cache: another cache folder than the library's own.
      endpoint: another hub than the library's own (HF_ENDPOINT).
    Raises:
      FetchError: the repository cannot be had, or lacks a file that the asset needs; offline: a file is missing.
      MissingExtraError: huggingface_hub is not installed.
    """
    hub = listings.import_hub()
    offline = hub.constants.HF_HUB_OFFLINE if offline is None else offline
    store = FolderStore(folder) if folder else CacheStore(asset.repository, cache=cache, endpoint=endpoint)
    listing, reachable = _find_listing(asset, store, revision, offline, endpoint)
    lacking = asset.missing(file.path for file in listing.files)
    if lacking:
        raise FetchError(
            f"{asset.repository} at {revision!r} has nothing under {lacking[0]!r}, which {asset.name} needs; "
            "the repository may have changed: try an earlier --revision, and report it"
        )
    wanted = set(asset.belonging(file.path for file in listing.files))
    files = tuple(file for file in listing.files if file.path in wanted)
    missing, damaged = _examine(files, listing, store)
    if missing and not reachable:
        raise FetchError(
            f"{len(missing)} of {len(files)} files of {asset.name} are not whole in {store.folder}, first "
            f"{missing[0].path}; run the same command once with a network and without --offline"
        )
    notes = [f"{file.path}: damaged ({file.checksum.kind} differs); it must come again" for file in damaged]
    if not reachable and not offline:
        notes.append(f"the hub cannot be reached; taking what is in {store.folder}, fetched earlier")
    return Plan(
        asset=asset,
        listing=listing,
        store=store,
        files=files,
        missing=missing,
        notes=tuple(notes),
        endpoint=endpoint,
    )


def carry_out(plan: Plan, *, say: Say = print, show_progress: bool = False) -> Fetched:
    """Brings what is missing. Interrupted at any time, it goes on from there the next time.

    Args:
      say: told one line a file, and about anything unusual.
      show_progress: whether a bar is drawn on stderr.
    Raises:
      FetchError: the disk has no room, or the hub fails.
    """
    _check_room(plan)
    listing, store = plan.listing, plan.store
    checked = CheckedFiles(store.state / "checked.json")
    received = 0
    for number, file in enumerate(plan.missing, 1):
        say(f"{number}/{len(plan.missing)} {file.path}, {file.size / 1e6:.1f} MB")
        target = store.content_path(file)
        with store.lock(file, listing):
            if not _is_whole(file, listing, store, checked):  # else another program has brought it meanwhile
                store.discard(file, listing)
                received += download(file, target, listing, endpoint=plan.endpoint, say=say, show_progress=show_progress)
                checked.is_right(file.path, target, file.checksum)
    for file in plan.files:
        store.publish(file, listing)
    return Fetched(
        asset=plan.asset,
        root=store.root(listing),
        commit=listing.commit,
        num_bytes=plan.num_bytes,
        received_bytes=received,
    )


def to_bundle(fetched: Fetched, out: Path) -> tuple[str, ...]:
    """Makes a bundle of what was fetched; its record says which revision of which repository it was.

    Args:
      out: a new folder, or a bundle that lacks these parts.
    Returns:
      what a person should know about the conversion.
    Raises:
      ValueError, CheckpointError, BundleError, MissingExtraError, OSError: as `convert.convert` says.
    """
    from magenta_rt_py.bundle import update_record
    from magenta_rt_py.released.convert import convert

    style = fetched.locations("style")
    if any(place.suffix == ".tflite" for place in style):  # known by the folder that they are in
        style = [style[0].parent]
    is_new = not (Path(out) / "bundle.json").is_file()  # a bundle that only gets a part more keeps its name
    name = fetched.asset.name if is_new else None
    made = convert(out, fetched.locations("lm"), codec=fetched.locations("codec"), style=style, name=name)
    source = {"asset": fetched.asset.name, "repository": fetched.asset.repository, "commit": fetched.commit}
    earlier = made.bundle.record.get("fetched", {})
    update_record(out, fetched={**earlier, **{part: source for part in made.added}})
    return made.notes


def _find_listing(
    asset: Asset, store: Store, revision: str, offline: bool, endpoint: str | None
) -> tuple[Listing, bool]:
    """The hub's listing, or the one that was kept; and whether the hub could be reached."""
    kept = listings.kept(asset.repository, revision, store.state)
    if offline:
        if kept is None:
            raise FetchError(
                f"offline, and {asset.name} at revision {revision!r} was never fetched into {store.folder}; run the same "
                "command once with a network and without --offline, or name the folder that has it with --dir"
            )
        return kept, False
    try:
        listing = listings.ask(asset.repository, revision, endpoint=endpoint)
    except FetchError as error:
        if kept is None or not error.unreachable:
            raise
        return kept, False
    listings.save(listing, store.state)
    return listing, True


def _examine(
    files: tuple[RemoteFile, ...], listing: Listing, store: Store
) -> tuple[tuple[RemoteFile, ...], tuple[RemoteFile, ...]]:
    """Files that must come, and those among them that are here but damaged."""
    checked = CheckedFiles(store.state / "checked.json")
    missing, damaged = [], []
    for file in files:
        if not _is_whole(file, listing, store, checked):
            missing.append(file)
            if store.find(file, listing):
                damaged.append(file)
    return tuple(missing), tuple(damaged)


def _is_whole(file: RemoteFile, listing: Listing, store: Store, checked: CheckedFiles) -> bool:
    """Whether a file is here with the right size and content."""
    place = store.find(file, listing)
    return place is not None and place.stat().st_size == file.size and checked.is_right(file.path, place, file.checksum)


def _check_room(plan: Plan) -> None:
    place = plan.store.folder.absolute()
    while not place.is_dir() and place != place.parent:
        place = place.parent
    free, needed = shutil.disk_usage(place).free, plan.missing_bytes
    if needed and free < needed + SPARE_BYTES:
        raise FetchError(
            f"{plan.asset.name} needs {needed / 1e6:.0f} MB more and {place} has {free / 1e6:.0f} MB left; make room, or "
            "choose another disk with --dir or HF_HOME"
        )
