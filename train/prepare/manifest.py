"""The manifest: one line for each audio file of a folder, from its header and its first and last megabyte alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import soundfile

from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.train.disk import write_whole
from magenta_rt_py.train.folder import SUFFIXES, UNREADABLE_SUFFIXES, audio_files
from magenta_rt_py.train.prepare.index import INDEX_NAME, SkippedEntry

MANIFEST_NAME = "manifest.jsonl"
EDGE_BYTES = 2**20
"""Bytes at either end of a file that its hash covers: sound that was edited changes length or an end, and a library of a
terabyte is looked through in minutes."""

LARGEST_EXCESS = 1.5
"""Held-out audio may be so many times what is wanted: files are of many lengths."""

LARGEST_HELD_OUT_SHARE = 1 / 3
"""Of all audio, where even the shortest file is more than wanted."""

TAGS = ("title", "artist", "album", "genre", "comment")
"""What is read of a file's own tags, by libsndfile's names."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ManifestEntry:
    """What is known of a file before any of its sound is decoded."""

    # Relative to the folder, with slashes.
    path: str
    # Its size.
    bytes: int
    # When it was last changed, nanoseconds; for people, and decides nothing.
    mtime: int
    # sha256 of its first and its last megabyte.
    hash: str
    # Samples of a channel.
    frames: int
    # Samples a second.
    rate: int
    channels: int
    # By the names of TAGS; only those that say something.
    tags: dict[str, str]
    # sha256 of the captions beside it, "" where there are none.
    sidecar: str

    @property
    def seconds(self) -> float:
        """Its length, as the header has it."""
        return self.frames / self.rate

    @property
    def sound(self) -> tuple[int, str, int]:
        """Equal for two copies of one file."""
        return self.bytes, self.hash, self.frames

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of what decides what the file becomes: sound, path and words, not when it was touched."""
        said = dataclasses.asdict(self)
        del said["mtime"]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """The files of a folder: those to be read, sorted by path, and those that are left out at once."""

    entries: list[ManifestEntry]
    skipped: list[SkippedEntry]

    def write(self, directory: Path) -> None:
        """Writes the entries into a prepared folder, one line a file."""
        lines = [json.dumps(dataclasses.asdict(entry), sort_keys=True, ensure_ascii=False) for entry in self.entries]
        write_whole(directory / MANIFEST_NAME, "".join(line + "\n" for line in lines).encode())


def scan(directory: Path, *, shortest_seconds: float, limit_seconds: float | None = None) -> Manifest:
    """Looks at all audio files below a folder.

    Args:
      directory: the folder; prepared folders below it are passed over.
      shortest_seconds: shorter files are left out.
      limit_seconds: stop when the files are so long together, for a trial.
    Raises:
      AudioFormatError: no such folder, no audio file in it, or it is itself a prepared folder.
    """
    if (directory / INDEX_NAME).is_file() and (directory / MANIFEST_NAME).is_file():
        raise AudioFormatError(f"{directory} is a prepared folder, not music; give the folder that it was prepared from")
    entries: list[ManifestEntry] = []
    skipped: list[SkippedEntry] = []
    seen: dict[tuple[int, str, int], str] = {}
    seconds = 0.0
    for path in audio_files(directory, suffixes=SUFFIXES | UNREADABLE_SUFFIXES):
        name = path.relative_to(directory).as_posix()
        try:
            entry = probe(path, name, shortest_seconds=shortest_seconds)
            if entry.sound in seen:
                raise AudioFormatError(f"the same sound as {seen[entry.sound]}")
        except AudioFormatError as error:
            skipped.append(SkippedEntry(path=name, reason=str(error)))
            continue
        seen[entry.sound] = name
        entries.append(entry)
        seconds += entry.seconds
        if limit_seconds is not None and seconds >= limit_seconds:
            break
    return Manifest(entries=entries, skipped=skipped)


def probe(path: Path, name: str, *, shortest_seconds: float) -> ManifestEntry:
    """One file, without decoding it.

    Args:
      path: the file.
      name: its path relative to the folder.
      shortest_seconds: shorter files are refused.
    Raises:
      AudioFormatError: it cannot be read as audio, or is too short.
    """
    if path.suffix.lower() in UNREADABLE_SUFFIXES:
        raise AudioFormatError(f"{path.suffix} is not read by libsndfile; convert it to FLAC or WAV")
    try:
        with soundfile.SoundFile(str(path)) as file:
            frames, rate, channels, found = file.frames, file.samplerate, file.channels, file.copy_metadata()
        size, hashed, mtime = path.stat().st_size, edge_hash(path), path.stat().st_mtime_ns
        sidecars = [path.with_suffix(suffix) for suffix in (".txt", ".json")]
        words = b"".join(sidecar.read_bytes() for sidecar in sidecars if sidecar.is_file())
    except (soundfile.SoundFileError, RuntimeError, OSError, TypeError) as error:
        reason = " ".join(str(error).split()).rstrip(".").replace(str(path), "it").replace(repr(str(path)), "it")
        raise AudioFormatError(f"not readable as audio ({reason})") from error
    if rate <= 0 or frames / rate < shortest_seconds:
        raise AudioFormatError(f"too short ({frames / max(rate, 1):.1f} s, at least {shortest_seconds:g} s)")
    return ManifestEntry(
        path=name,
        bytes=size,
        mtime=mtime,
        hash=hashed,
        frames=frames,
        rate=rate,
        channels=channels,
        tags={tag: text for tag in TAGS if (text := _clean(found.get(tag, "")))},
        sidecar=hashlib.sha256(words).hexdigest() if words else "",
    )


def edge_hash(path: Path) -> str:
    """sha256 of a file's first and last megabyte (of all of it, where it is shorter than two)."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(EDGE_BYTES))
        size = path.stat().st_size
        file.seek(max(size - EDGE_BYTES, min(size, EDGE_BYTES)))
        digest.update(file.read(EDGE_BYTES))
    return digest.hexdigest()


def held_out_paths(entries: Sequence[ManifestEntry], *, share: float, longest_seconds: float) -> set[str]:
    """Paths of the files that are kept for evaluation, whole.

    Drawn by the hash of their paths, so that the choice is the same wherever and however often it is made; one more file
    changes it by little. None where every file is more than a third of the whole: then training holds out pieces.
    """
    total = sum(entry.seconds for entry in entries)
    wanted = min(share * total, longest_seconds)
    if len(entries) < 2 or wanted <= 0:
        return set()
    chosen: set[str] = set()
    seconds = 0.0
    for entry in sorted(entries, key=lambda entry: hashlib.sha256(entry.path.encode()).digest()):
        if seconds + entry.seconds <= LARGEST_EXCESS * wanted and seconds < wanted:
            chosen.add(entry.path)
            seconds += entry.seconds
    if not chosen:
        shortest = min(entries, key=lambda entry: (entry.seconds, entry.path))
        chosen = {shortest.path} if shortest.seconds <= LARGEST_HELD_OUT_SHARE * total else set()
    return chosen


def _clean(text: str) -> str:
    return " ".join(text.replace("\0", " ").split())
