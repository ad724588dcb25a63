"""Which files go into which shard, and one shard's work: from files to a token file, whole or not at all.

Shards end where the hash of a path says so, or where they are full. So a shard's files depend on the manifest alone, however
often the work was stopped; and a file that was added or removed moves the ends of few shards. A shard's name holds the
fingerprint of all that it is made of: a file of that name need not be made again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.train.disk import write_whole
from magenta_rt_py.train.prepare.config import PrepareConfig
from magenta_rt_py.train.prepare.index import ShardEntry, SkippedEntry, UsedFile
from magenta_rt_py.train.prepare.manifest import ManifestEntry, held_out_paths
from magenta_rt_py.train.prepare.pieces import ARRAYS, Encoders, FilePieces, PreparedFile, prepare_file

FOLDER = "shards"
"""Where shards lie in a prepared folder."""

END_SHARE = 0.25
"""Of a shard's length: from there on it ends at the first path whose hash says so."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """A shard to be made."""

    # Relative to the prepared folder.
    name: str
    held_out: bool
    entries: list[ManifestEntry]
    # What each file becomes is decided by this: its own fingerprint, the settings', the bundle's, the speeds.
    keys: list[str]
    # At which each file is heard; the first is 1.
    speeds: tuple[float, ...] = (1.0,)

    @property
    def record_name(self) -> str:
        """The file beside it that says what became of each of its files."""
        return str(Path(self.name).with_suffix(".json"))

    @property
    def seconds(self) -> float:
        """Audio in its files, as their headers have it."""
        return float(sum(entry.seconds for entry in self.entries))


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileRecord:
    """What became of one file of a shard: pieces, or a reason."""

    key: str
    path: str
    # At all speeds.
    pieces: int
    # At speed 1.
    seconds: float
    bpm: float | None
    has_clock: bool
    notes: list[str]
    captions: list[str]
    # None: the file is used.
    skipped: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """What lies beside a shard: what its token file must be, and what became of each of its files, in order."""

    # Of the token file.
    num_bytes: int
    sha256: str
    files: list[FileRecord]

    def fits(self, shard: Path) -> bool:
        """Whether a token file is there and what it was when it was made."""
        try:
            return _sha256(shard.read_bytes()) == self.sha256
        except OSError:
            return False


def plan_shards(entries: Sequence[ManifestEntry], config: PrepareConfig, *, made_by: str) -> list[ShardPlan]:
    """Shards of a manifest.

    Args:
      entries: sorted by path.
      config: settings.
      made_by: fingerprint of codec and style model.
    """
    apart = held_out_paths(entries, share=config.held_out_share, longest_seconds=60.0 * config.longest_held_out_minutes)
    # Where whole pieces of training files are held out later, copies of them must not be trained on.
    is_little = bool(apart) and sum(entry.seconds for entry in entries) < 60.0 * config.copies_below_minutes
    plans = []
    for held_out in (False, True):
        speeds = (1.0, *config.copy_speeds) if is_little and not held_out else (1.0,)
        heard = "" if speeds == (1.0,) else repr(speeds)
        own = [entry for entry in entries if (entry.path in apart) == held_out]
        for group in _groups(own, 60.0 * config.shard_minutes):
            keys = [f"{entry.fingerprint}{config.file_fingerprint}{made_by}{heard}" for entry in group]
            digest = hashlib.sha256("".join(keys).encode()).hexdigest()[:16]
            name = f"{FOLDER}/{'held_out' if held_out else 'train'}-{digest}.npz"
            plans.append(ShardPlan(name=name, held_out=held_out, entries=group, keys=keys, speeds=speeds))
    return plans


def _groups(entries: Sequence[ManifestEntry], shard_seconds: float) -> list[list[ManifestEntry]]:
    groups: list[list[ManifestEntry]] = []
    seconds = 0.0
    for entry in entries:
        full = seconds + entry.seconds > shard_seconds
        if not groups or full or (seconds > END_SHARE * shard_seconds and _ends(groups[-1][-1], shard_seconds)):
            groups.append([])
            seconds = 0.0
        groups[-1].append(entry)
        seconds += entry.seconds
    return groups


def _ends(entry: ManifestEntry, shard_seconds: float) -> bool:
    """Whether a shard ends behind a file: its path's hash says so, once in half a shard of audio."""
    drawn = int.from_bytes(hashlib.sha256(entry.path.encode()).digest()[:4], "big") / 2**32
    return drawn < 2.0 * entry.seconds / shard_seconds


def make_shard(
    plan: ShardPlan,
    *,
    directory: Path,
    out: Path,
    encoders: Encoders,
    config: PrepareConfig,
    kept: Mapping[str, Path] | None = None,
    done: Callable[[ManifestEntry], None] | None = None,
) -> None:
    """Makes one shard: the record first, the token file last. What is killed between leaves no shard.

    Args:
      plan: what goes into it.
      directory: the audio folder.
      out: the prepared folder.
      encoders: codec and style model.
      config: settings.
      kept: file key -> record of an older shard that holds the file's pieces: they are taken over.
      done: called behind each file.
    Raises:
      OSError: the disk does not take it; nothing is left half written.
    """
    files, rows = [], []
    for entry, key in zip(plan.entries, plan.keys, strict=True):
        found = _take_over(key, kept or {})
        record, pieces = found if found is not None else _prepare(entry, key, plan.speeds, directory, encoders, config)
        files.append(record)
        rows += pieces
        if done is not None:
            done(entry)
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    content = pack(rows)
    record = ShardRecord(num_bytes=len(content), sha256=_sha256(content), files=files)
    text = json.dumps(dataclasses.asdict(record), indent=1, ensure_ascii=False) + "\n"
    write_whole(out / plan.record_name, text.encode())
    write_whole(out / plan.name, content)


def _prepare(
    entry: ManifestEntry,
    key: str,
    speeds: Sequence[float],
    directory: Path,
    encoders: Encoders,
    config: PrepareConfig,
) -> tuple[FileRecord, list[FilePieces]]:
    notes = [f"band limited ({entry.rate} Hz)"] if entry.rate < config.full_band_hz else []
    fields: dict[str, Any] = {"key": key, "path": entry.path, "notes": notes}
    try:
        made: PreparedFile = prepare_file(directory, entry, encoders, config)
    except AudioFormatError as error:
        unused = {"pieces": 0, "seconds": 0.0, "bpm": None, "has_clock": False, "captions": []}
        return FileRecord(**fields, **unused, skipped=str(error)), []
    rows = [made.pieces]
    for speed in speeds[1:]:
        with contextlib.suppress(AudioFormatError):  # a short file may become too short
            rows.append(prepare_file(directory, entry, encoders, config, speed=speed).pieces)
    bpm = made.measured.bpm if made.measured is not None else None
    record = FileRecord(
        **fields,
        pieces=sum(len(row.lengths) for row in rows),
        seconds=made.seconds,
        bpm=None if bpm is None else round(bpm, 2),
        has_clock=made.has_clock,
        captions=list(dict.fromkeys(made.captions)),
        skipped=None,
    )
    return record, rows


def pack(rows: Sequence[FilePieces]) -> bytes:
    """Pieces of files as the bytes of a token shard; the same pieces always give the same bytes."""
    buffer = io.BytesIO()
    arrays = {name: np.concatenate([getattr(row, name) for row in rows]) for name in ARRAYS} if rows else {}
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _take_over(key: str, kept: Mapping[str, Path]) -> tuple[FileRecord, list[FilePieces]] | None:
    """What an older shard holds of a file; None: nothing, or nothing that can be read."""
    if key not in kept:
        return None
    try:
        files = read_record(kept[key]).files
        place = next(place for place, record in enumerate(files) if record.key == key)
        record = files[place]
        if record.skipped is not None:
            return record, []
        first = sum(record.pieces for record in files[:place])
        with np.load(kept[key].with_suffix(".npz"), allow_pickle=False) as file:
            rows = {name: file[name][first : first + record.pieces] for name in ARRAYS}
    except (OSError, ValueError, KeyError, StopIteration, TypeError, zipfile.BadZipFile):
        return None
    return record, [FilePieces(**rows)]


def read_record(path: Path) -> ShardRecord:
    """The record beside a shard.

    Raises:
      OSError, ValueError, TypeError, KeyError: it is missing, or none of ours.
    """
    fields = json.loads(path.read_text())
    return ShardRecord(**fields | {"files": [FileRecord(**record) for record in fields["files"]]})


def is_made(plan: ShardPlan, out: Path) -> bool:
    """Whether a shard is there, with its record: both get their names when they are whole."""
    return (out / plan.name).is_file() and (out / plan.record_name).is_file()


def drop_damaged(plans: Iterable[ShardPlan], out: Path) -> None:
    """Removes shards that are there and not what they were when they were made, so that they are made again."""
    for plan in plans:
        if not is_made(plan, out):
            continue
        try:
            is_sound = read_record(out / plan.record_name).fits(out / plan.name)
        except (OSError, ValueError, TypeError, KeyError):
            is_sound = False
        if not is_sound:
            (out / plan.name).unlink()


def kept_files(out: Path) -> dict[str, Path]:
    """All files whose pieces lie in whole shards of a prepared folder: key -> record of the shard."""
    kept = {}
    for record in sorted((out / FOLDER).glob("*.json")):
        if record.with_suffix(".npz").is_file():
            try:
                kept |= {entry.key: record for entry in read_record(record).files}
            except (OSError, ValueError, TypeError, KeyError):
                continue  # not ours, or damaged: made again
    return kept


def describe(plans: Iterable[ShardPlan], out: Path) -> tuple[list[ShardEntry], list[UsedFile], list[SkippedEntry]]:
    """What the index says of shards that are made; empty ones (all their files were left out) are not named."""
    shards, used, skipped = [], [], []
    for plan in plans:
        record = read_record(out / plan.record_name)
        pieces, seconds = sum(one.pieces for one in record.files), sum(one.seconds for one in record.files)
        if pieces:
            shards.append(
                ShardEntry(
                    name=plan.name,
                    held_out=plan.held_out,
                    num_bytes=record.num_bytes,
                    sha256=record.sha256,
                    pieces=pieces,
                    seconds=seconds,
                )
            )
        for one in record.files:
            if one.skipped is not None:
                skipped.append(SkippedEntry(path=one.path, reason=one.skipped))
                continue
            known = {name: getattr(one, name) for name in ("path", "pieces", "seconds", "bpm", "has_clock", "notes")}
            used.append(UsedFile(held_out=plan.held_out, **known))
    return shards, used, skipped


def remove_others(out: Path, names: Iterable[str]) -> None:
    """Removes shards and records of a prepared folder that are no longer part of it.

    Args:
      out: the folder.
      names: of those that are, relative to it.
    """
    wanted = set(names)
    for path in (out / FOLDER).iterdir():
        if path.suffix in {".npz", ".json"} and path.relative_to(out).as_posix() not in wanted:
            path.unlink()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
