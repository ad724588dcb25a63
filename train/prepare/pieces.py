"""One file to token pieces: the same pure function on one machine and on a cluster."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int16, Int32

from magenta_rt_py.audio import SAMPLE_RATE_HZ, to_mono
from magenta_rt_py.codec.interface import Codec
from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.generators.state import FRAME_RATE_HZ
from magenta_rt_py.style.embedder import StyleModel
from magenta_rt_py.style.interface import StyleEmbedder
from magenta_rt_py.style.spectrogram import window_log_mels
from magenta_rt_py.train import folder
from magenta_rt_py.train.data import WINDOW_FRAMES, count_windows
from magenta_rt_py.train.prepare.config import PrepareConfig
from magenta_rt_py.train.prepare.grid import BeatGrid
from magenta_rt_py.train.prepare.manifest import ManifestEntry
from magenta_rt_py.train.prepare.measured import STEP_SECONDS, UNKNOWN, Listener, Measured
from magenta_rt_py.train.prepare.words import captions_for

Read = Callable[[], Iterator[Float[np.ndarray, "samples 2"]]]
"""Reads a file from its start, block by block."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoders:
    """What turns sound into tokens: a bundle's codec and style model."""

    codec: Codec
    style: StyleEmbedder


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilePieces:
    """A file's pieces, padded to one length, as rows of a shard's arrays (see train/data.py).

    Attributes:
      codes: 0 beyond `lengths`.
      style_audio: 10 s windows, one begins every 2 s; the last one that fits is repeated.
      descriptors: of every 2 s: bpm, key, spectral centroid (Hz), onsets a second; -1 where not known.
    """

    codes: Int16[np.ndarray, "pieces frames levels"]
    lengths: Int32[np.ndarray, " pieces"]
    frames_per_beat: Float[np.ndarray, " pieces"]
    style_audio: Float32[np.ndarray, "pieces windows dim"]
    style_audio_codes: Int16[np.ndarray, "pieces windows style_levels"]
    style_text: Float32[np.ndarray, "pieces captions dim"]
    style_text_codes: Int16[np.ndarray, "pieces captions style_levels"]
    descriptors: Float32[np.ndarray, "pieces steps 4"]
    genre: Int32[np.ndarray, " pieces"]


ARRAYS = tuple(field.name for field in dataclasses.fields(FilePieces))
"""Names of a shard's arrays."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedFile:
    """What became of a file."""

    pieces: FilePieces
    # As stored for each piece, best first.
    captions: list[str]
    # None where nothing was measured.
    measured: Measured | None

    @property
    def seconds(self) -> float:
        """Audio in the pieces."""
        return float(self.pieces.lengths.sum()) / FRAME_RATE_HZ

    @property
    def has_clock(self) -> bool:
        """Whether the pieces begin on bar lines."""
        return bool((self.pieces.frames_per_beat > 0).any())


def prepare_file(
    directory: Path, entry: ManifestEntry, encoders: Encoders, config: PrepareConfig, *, speed: float = 1.0
) -> PreparedFile:
    """Turns one audio file into pieces.

    The file is read twice, block by block: for its loudness and what is heard in it, and to be cut and encoded.

    Args:
      directory: the folder that the manifest was made of.
      entry: the file.
      encoders: codec and style model.
      config: settings.
      speed: at which it is heard, see `folder.read_48k`; tempo, key and clock are those that are heard.
    Raises:
      AudioFormatError: the file cannot be used; the message says why in a few words.
    """
    read = functools.partial(folder.read_48k, directory / entry.path, speed=speed)
    levels, measured = _listen(read, config)
    gain = levels.gain(config.folder)
    captions = captions_for(entry, directory, measured, count=config.captions_per_piece)
    grid = _clock_of(measured, config)
    rows = []
    for start, samples in _cut(read, grid, config.folder):
        rows.append(_encode_piece(samples * gain, start, grid, measured, encoders, config.folder))
    if not rows:
        raise AudioFormatError(f"too short ({entry.seconds:.1f} s) once cut at its bar lines")
    text = encoders.style.embed_text(captions)
    text_codes = encoders.style.quantize(text)
    count = len(rows)
    return PreparedFile(
        pieces=FilePieces(
            **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
            style_text=np.repeat(text[None].astype(np.float32), count, axis=0),
            style_text_codes=np.repeat(text_codes[None].astype(np.int16), count, axis=0),
            genre=np.full(count, genre_label(entry), np.int32),
        ),
        captions=captions,
        measured=measured,
    )


def _clock_of(measured: Measured | None, config: PrepareConfig) -> BeatGrid | None:
    """The grid that pieces are cut on; None: no clock."""
    if not config.clock or measured is None or measured.grid is None or measured.grid.first_bar_samples is None:
        return None
    return measured.grid if measured.grid.bar_samples <= config.folder.piece_seconds * SAMPLE_RATE_HZ else None


def genre_label(entry: ManifestEntry) -> int:
    """A number that files of one genre share: by the tag, or the first folder. The same on every machine."""
    name = entry.tags.get("genre") or folder.genre_of(entry.path)
    return zlib.crc32(name.lower().encode()) & 0x7FFFFFFF


def _listen(read: Read, config: PrepareConfig) -> tuple[folder.Levels, Measured | None]:
    """First reading: loudness, and what is heard."""
    meter, listener = folder.LevelMeter(), Listener()
    for block in folder.regroup(read(), Listener.BLOCK_SAMPLES):
        meter.add(block)
        if config.measured_words or config.clock:
            listener.add(block)
    levels = meter.levels()
    levels.gain(config.folder)  # silence and clipping are refused before anything is made of them
    return levels, listener.measured() if config.measured_words or config.clock else None


def _cut(
    read: Read, grid: BeatGrid | None, config: folder.FolderConfig
) -> Iterator[tuple[int, Float[np.ndarray, "samples 2"]]]:
    """Second reading: pieces, with the sample that each begins at; on bar lines, where there are any."""
    longest = config.piece_seconds * SAMPLE_RATE_HZ
    first, length = 0.0, longest
    if grid is not None and grid.first_bar_samples is not None:
        first, length = grid.first_bar_samples, longest // grid.bar_samples * grid.bar_samples
    edges = (round(first + place * length) for place in itertools.count())
    sizes = (end - begin for begin, end in itertools.pairwise(itertools.chain([0], edges)))
    start = 0
    for place, block in enumerate(folder.cut(read(), sizes)):
        # Block 0 is what lies before the first bar line, or empty.
        if place > 0 and len(block) >= config.shortest_seconds * SAMPLE_RATE_HZ:
            yield start, block
        start += len(block)


def _encode_piece(
    samples: Float[np.ndarray, "samples 2"],
    start: int,
    grid: BeatGrid | None,
    measured: Measured | None,
    encoders: Encoders,
    config: folder.FolderConfig,
) -> dict[str, np.ndarray]:
    """One row of each of the arrays that sound decides."""
    codec = encoders.codec
    longest = round(config.piece_seconds * SAMPLE_RATE_HZ)
    frames, most_frames = len(samples) // codec.frame_samples, longest // codec.frame_samples
    # Always of one length, so that the codec is compiled once; the silence behind changes nothing before it.
    padded = np.zeros((longest, 2), np.float32)
    padded[: len(samples)] = samples
    codes = np.asarray(codec.encode(padded[None]))[0, :most_frames]
    codes[frames:] = 0
    audio = _style_windows(samples, frames, encoders.style)
    windows = count_windows(most_frames)
    audio = np.concatenate([audio, np.repeat(audio[-1:], windows - len(audio), axis=0)])
    steps = round(config.piece_seconds / STEP_SECONDS)
    described = measured.descriptors(start, steps) if measured is not None else np.full((steps, 4), UNKNOWN)
    frames_per_beat = 0.0 if grid is None else 60.0 * codec.frame_rate_hz / grid.bpm
    return {
        "codes": codes.astype(np.int16),
        "lengths": np.array(frames, np.int32),
        "frames_per_beat": np.array(frames_per_beat),
        "style_audio": audio.astype(np.float32),
        "style_audio_codes": encoders.style.quantize(audio).astype(np.int16),
        "descriptors": described.astype(np.float32),
    }


def _style_windows(
    samples: Float[np.ndarray, "samples 2"], frames: int, style: StyleEmbedder
) -> Float[np.ndarray, "windows dim"]:
    """Embeddings of the windows that fit into a piece."""
    rate = style.config.sample_rate_hz
    mono, count = to_mono(samples, SAMPLE_RATE_HZ, rate), count_windows(frames)
    if isinstance(style, StyleModel):
        return style.embed_log_mels(window_log_mels(mono, style.config, float(STEP_SECONDS))[:count])
    hop, size = STEP_SECONDS * rate, WINDOW_FRAMES // FRAME_RATE_HZ * rate
    return np.stack([style.embed_audio(mono[place * hop : place * hop + size]) for place in range(count)])
