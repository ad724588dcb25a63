"""A person's own audio folder, delivered like the studio's pieces: samples and a label with captions.

Nothing is ever held whole: headers are probed, files are read block by block, brought to 48 kHz stereo and to one
loudness, and cut into pieces of 30 s. What cannot be used is skipped, with the reason.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from jaxtyping import Float
from scipy import signal

from magenta_rt_py.audio import SAMPLE_RATE_HZ, db_to_gain
from magenta_rt_py.errors import AudioFormatError

SUFFIXES = frozenset(
    {f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW"}  # RAW: nothing to tell noise from music
    | {".aif", ".aifc", ".oga", ".opus", ".snd", ".mp2", ".bwf", ".wve", ".iff", ".sph"}
)
"""Endings that libsndfile may read; a file of another ending is not tried."""

UNREADABLE_SUFFIXES = frozenset(
    {".m4a", ".aac", ".mp4", ".wma", ".ape", ".wv", ".mpc", ".dsf", ".dff", ".ra", ".mka", ".webm"}
)
"""Endings of music that libsndfile cannot read: named among what was left out, so that nobody wonders."""

GATE_SAMPLES = 19_200
"""Samples of a gate of the loudness, 400 ms."""


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """How a folder is cut up and what is refused."""

    # Length of a piece; a file's last piece is shorter.
    piece_seconds: float = 30.0
    # Shorter files and shorter last pieces are left out.
    shortest_seconds: float = 4.0
    # Loudness every file is brought to, in LUFS (ITU-R BS.1770-4 gating).
    loudness_db: float = -15.0
    # A file more quiet than this (LUFS) is silence.
    silence_db: float = -60.0
    # A file with a larger share of samples at full scale is clipped beyond use.
    largest_clipped_share: float = 0.01
    # Largest gain that the loudness may ask for, so that hiss is not blown up.
    largest_gain_db: float = 30.0


@dataclass(frozen=True, kw_only=True)
class FolderLabel:
    """What is known about a piece of a folder; tempo and key are not, so its clock stays unset.

    The fields that the studio's labels have too mean the same.
    """

    # Ways to ask for it, best first.
    captions: list[str]
    # The file, relative to the folder.
    path: str
    # Where in the file the piece begins.
    start_seconds: float
    # The first folder's name, or "own".
    genre: str
    # Unknown.
    bpm: float | None = None
    # 0: no tempo known (see train/data.py).
    frames_per_beat: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class FolderPiece:
    """A piece of a person's own music."""

    # 48 kHz, at the configured loudness.
    samples: Float[np.ndarray, "samples 2"]
    label: FolderLabel


@dataclass(frozen=True, kw_only=True)
class SkippedFile:
    """A file that was left out."""

    # Relative to the folder.
    path: str
    # In one line.
    reason: str


@dataclass(frozen=True, kw_only=True)
class Levels:
    """What the first reading of a file finds: loudness in LUFS (-inf: silence) and the share of clipped samples."""

    loudness_db: float
    clipped_share: float

    def gain(self, config: FolderConfig) -> np.float32:
        """Factor that brings the file to the configured loudness.

        Raises:
          AudioFormatError: it is silent, or clipped beyond use.
        """
        if self.loudness_db < config.silence_db:
            raise AudioFormatError(f"silent ({self.loudness_db:.0f} LUFS)")
        if self.clipped_share > config.largest_clipped_share:
            raise AudioFormatError(f"clipped ({100 * self.clipped_share:.1f} % of samples at full scale)")
        return np.float32(db_to_gain(min(config.loudness_db - self.loudness_db, config.largest_gain_db)))


class AudioFolder:
    """The audio files below a directory, as pieces.

    `pieces()` may be called again; each call reads anew and starts new tables `used` and `skipped`.
    """

    def __init__(self, directory: str | Path, config: FolderConfig = FolderConfig()) -> None:
        """Look at a directory without reading audio yet.

        Raises:
          AudioFormatError: there is no such directory, or no audio file in it.
        """
        self._directory, self._config = Path(directory), config
        self.files = audio_files(self._directory)
        self.used: dict[str, float] = {}
        self.skipped: list[SkippedFile] = []

    def __iter__(self) -> Iterator[FolderPiece]:
        return self.pieces()

    def pieces(self) -> Iterator[FolderPiece]:
        """All pieces, file by file in the order of their paths."""
        self.used, self.skipped = {}, []
        for path in self.files:
            name = path.relative_to(self._directory).as_posix()
            try:
                for piece in self._pieces_of(path, name):
                    self.used[name] = self.used.get(name, 0.0) + len(piece.samples) / SAMPLE_RATE_HZ
                    yield piece
            except AudioFormatError as error:
                self.skipped.append(SkippedFile(path=name, reason=str(error)))

    def report(self) -> str:
        """A table of what the last reading used and skipped, for people."""
        hours = sum(self.used.values()) / 3600
        lines = [f"{hours:.2f} h from {len(self.used)} files, {len(self.skipped)} skipped"]
        width = max((len(file.path) for file in self.skipped), default=0)
        return "\n".join(lines + [f"  {file.path:<{width}}  {file.reason}" for file in self.skipped])

    def _pieces_of(self, path: Path, name: str) -> Iterator[FolderPiece]:
        """Pieces of one file, which is read twice: for its loudness (a broken file ends here) and to be cut."""
        _probe(path, self._config.shortest_seconds)
        captions = captions_of(path, self._directory)
        meter = LevelMeter()
        for block in regroup(read_48k(path), GATE_SAMPLES):
            meter.add(block)
        gain = meter.levels().gain(self._config)
        size = round(self._config.piece_seconds * SAMPLE_RATE_HZ)
        shortest = round(self._config.shortest_seconds * SAMPLE_RATE_HZ)
        for index, block in enumerate(regroup(read_48k(path), size)):
            if len(block) < shortest:
                continue
            label = FolderLabel(
                captions=captions,
                path=name,
                start_seconds=index * self._config.piece_seconds,
                genre=genre_of(name),
            )
            yield FolderPiece(samples=block * gain, label=label)


def genre_of(name: str) -> str:
    """What stands for the genre of a file, whose path relative to the folder is given: its first folder, or "own"."""
    parts = Path(name).parts
    return parts[0] if len(parts) > 1 else "own"


def captions_of(path: Path, directory: Path) -> list[str]:
    """Ways to describe a file.

    From `name.txt` (one caption a line) or `name.json` ({"captions": [...]}, {"caption": "..."} or
    {"tags": [...]}) beside it; else words of its folders and name, numbers left out; else "music".

    Raises:
      AudioFormatError: the file beside it cannot be read, because silently training without it would be worse.
    """
    found: list[str] = []
    for reader, suffix in ((_text_captions, ".txt"), (_json_captions, ".json")):
        sidecar = path.with_suffix(suffix)
        if sidecar.exists():
            try:
                found += reader(sidecar.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise AudioFormatError(f"its captions {sidecar.name} cannot be read ({error})") from error
    found = [" ".join(caption.split()) for caption in found]
    found = [caption for caption in found if caption] or path_captions(path.relative_to(directory))
    return list(dict.fromkeys(found))


def _text_captions(text: str) -> list[str]:
    return text.splitlines()


def _json_captions(text: str) -> list[str]:
    record = json.loads(text)
    if not isinstance(record, dict):
        raise ValueError('expected an object such as {"captions": ["..."]}')
    captions = record.get("captions", [])
    tags = record.get("tags", [])
    if not isinstance(captions, list) or not isinstance(tags, list):
        raise ValueError("captions and tags must be lists of strings")
    single = [record["caption"]] if "caption" in record else []
    joined = [", ".join(map(str, tags))] if tags else []
    return [str(caption) for caption in [*captions, *single, *joined]]


def path_captions(path: Path) -> list[str]:
    """ambient/01 - Deep_Sea.flac -> "ambient deep sea", "ambient"."""

    def words(text: str) -> list[str]:
        return [word.lower() for word in re.findall(r"[^\W\d_]+", text) if len(word) > 1]

    folders = [word for folder in path.parts[:-1] for word in words(folder)]
    captions = [" ".join(folders + words(path.stem)), " ".join(folders)]
    return [caption for caption in captions if caption] or ["music"]


def audio_files(directory: Path, *, suffixes: frozenset[str] = SUFFIXES) -> list[Path]:
    """Files below a directory with an ending of audio, sorted; hidden files and links to folders are not followed.

    Raises:
      AudioFormatError: there is no such directory, or no such file in it.
    """
    if not directory.is_dir():
        raise AudioFormatError(f"{directory} is no directory; give the folder that holds your audio")
    found = []
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]
        visible = (Path(folder) / name for name in names if not name.startswith("."))
        found += [path for path in visible if path.suffix.lower() in suffixes]
    if not found:
        raise AudioFormatError(f"{directory} holds no audio file ({', '.join(sorted(suffixes))})")
    return sorted(found)


def _probe(path: Path, shortest_seconds: float) -> None:
    """Refuse by the header alone what can be refused by it."""
    try:
        header = soundfile.info(str(path))
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise AudioFormatError(f"not readable as audio ({_one_line(error)})") from error
    if header.samplerate <= 0 or header.frames / header.samplerate < shortest_seconds:
        seconds = header.frames / max(header.samplerate, 1)
        raise AudioFormatError(f"too short ({seconds:.1f} s, at least {shortest_seconds:g} s)")


def read_48k(path: Path, *, speed: float = 1.0) -> Iterator[Float[np.ndarray, "samples 2"]]:
    """A file in ragged blocks of about ten seconds, 48 kHz stereo; the resampler runs on across blocks.

    Args:
      path: the file.
      speed: as of a tape: 1.04 is 4 % faster, and 0.68 semitones higher.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate, heard = file.samplerate, file.samplerate * speed
            resampler = None if heard == SAMPLE_RATE_HZ else soxr.ResampleStream(heard, SAMPLE_RATE_HZ, 2, dtype="float32")
            for block in file.blocks(blocksize=10 * rate, dtype="float32", always_2d=True):
                if not np.isfinite(block).all():
                    raise AudioFormatError("holds NaN or infinite samples")
                stereo = np.repeat(block, 2, axis=1) if block.shape[1] == 1 else block[:, :2]
                yield stereo if resampler is None else resampler.resample_chunk(np.ascontiguousarray(stereo))
            if resampler is not None:
                yield resampler.resample_chunk(np.zeros((0, 2), np.float32), last=True)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise AudioFormatError(f"broken while reading ({_one_line(error)})") from error


def regroup(blocks: Iterator[Float[np.ndarray, "samples 2"]], size: int) -> Iterator[Float[np.ndarray, "samples 2"]]:
    """Blocks of any lengths as blocks of exactly `size` samples, and a shorter last one."""
    return cut(blocks, itertools.repeat(size))


def cut(
    blocks: Iterator[Float[np.ndarray, "samples 2"]], sizes: Iterator[int]
) -> Iterator[Float[np.ndarray, "samples 2"]]:
    """Blocks of any lengths as blocks of the given sizes, and a shorter last one."""
    waiting, size = np.zeros((0, 2), np.float32), next(sizes)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        while len(waiting) >= size:
            yield waiting[:size]
            waiting, size = waiting[size:], next(sizes)
    if len(waiting):
        yield waiting


class LevelMeter:
    """Loudness and clipping of sound that comes block by block."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._states = [np.zeros((2, 2)) for _ in _K_WEIGHTING]
        self._powers: list[float] = []
        self._clipped, self._total = 0, 0

    def add(self, samples: Float[np.ndarray, "samples 2"]) -> None:
        """Hears a block: whole gates of 400 ms, but for the last one."""
        self._clipped += int((np.abs(samples) >= 0.999).sum())
        self._total += samples.size
        weighted = samples
        for index, (numerator, denominator) in enumerate(_K_WEIGHTING):
            weighted, self._states[index] = signal.lfilter(numerator, denominator, weighted, axis=0, zi=self._states[index])
        for start in range(0, len(weighted), GATE_SAMPLES):
            self._powers.append(float((weighted[start : start + GATE_SAMPLES] ** 2).mean(0).sum()))

    def levels(self) -> Levels:
        """What was found so far."""
        return Levels(
            loudness_db=gated_loudness_db(np.asarray(self._powers)), clipped_share=self._clipped / max(self._total, 1)
        )


def gated_loudness_db(powers: Float[np.ndarray, " blocks"]) -> float:
    """Loudness in LUFS of K-weighted block powers (sum over channels): blocks below -70 LUFS, then those 10 dB below
    the rest's mean, do not count.

    Source: ITU-R BS.1770-4; our blocks of 400 ms do not overlap.
    """
    loudness = -0.691 + 10 * np.log10(np.maximum(powers, 1e-12))
    heard = powers[loudness > -70.0]
    if not len(heard):
        return -float("inf")
    heard = heard[heard > 0.1 * heard.mean()]
    return float(-0.691 + 10 * np.log10(heard.mean()))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


# Shelf of the head and high-pass of ITU-R BS.1770-4, at 48 kHz: (numerator, denominator).
_K_WEIGHTING = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
