"""Uploads: sound from strangers, made safe: so many bytes, so long a wait, so many samples, and numbers only.

    body -> bodies.py (counts while it comes) -> decode (block by block, on another thread) -> Upload -> Shelf of one seat

A header may say anything: nothing is allocated, skipped or believed by what it says. Nothing is written to a path, and the
sender's file name is only ever shown.

`decode` is pure; a `Shelf` is stateful and thread-safe.
"""

from __future__ import annotations

import dataclasses
import io
import secrets
import threading
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from jaxtyping import Float

from magenta_rt_py.audio import SAMPLE_RATE_HZ
from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.live.output import LOUDEST_INPUT

__all__ = ["Shelf", "Upload", "UploadConfig", "decode", "shown_name"]

BLOCK_SAMPLES = 65_536
LOWEST_HZ, HIGHEST_HZ = 4_000, 192_000
MOST_CHANNELS = 8
MOST_KEPT, MOST_KEPT_SECONDS = 16, 240.0
"""Sounds of one seat: two for each prompt slot; together 92 MB."""
LONGEST_NAME = 80
"""Characters of a file name that are shown."""
MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"ID3")
"""How WAV, FLAC, Ogg, AIFF and MP3 files begin; other parsers are not let near a stranger's bytes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class UploadConfig:
    """What is taken."""

    most_bytes: int = 20_000_000
    """Of a file; what surrounds it in a form may add 10 kB."""
    most_seconds: float = 60.0
    """Of sound."""
    least_seconds: float = 0.1
    """Of sound: less tells the style model nothing."""
    body_seconds: float = 120.0
    """Until the whole body is there: 20 MB at 1.3 Mbit/s."""
    silent_seconds: float = 10.0
    """A sender that sends nothing for so long has gone."""


class Upload(NamedTuple):
    """A sound that came in."""

    name: str
    """To be shown: no path, no control characters."""
    samples: Float[np.ndarray, "samples 2"]
    """48 kHz, finite."""

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / SAMPLE_RATE_HZ


class Shelf:
    """The sounds of one seat, by name "@" and 32 hexadecimal digits. Any thread."""

    def __init__(self, most: int = MOST_KEPT, most_seconds: float = MOST_KEPT_SECONDS) -> None:
        """Empty.

        Args:
          most: sounds that are kept.
          most_seconds: of all of them together.
        """
        self._most, self._most_seconds, self._lock = most, most_seconds, threading.Lock()
        self._sounds: dict[str, Upload] = {}

    def __len__(self) -> int:
        """Sounds that are kept."""
        return len(self._sounds)

    def add(self, upload: Upload) -> str:
        """Keeps a sound.

        Returns:
          its name, that nobody can guess.
        Raises:
          ValueError: there is no room for it.
        """
        name = f"@{secrets.token_hex(16)}"
        with self._lock:
            count, seconds = len(self._sounds), sum(kept.seconds for kept in self._sounds.values())
            if count >= self._most or seconds + upload.seconds > self._most_seconds:
                raise ValueError(f"{count} sounds of {seconds:.0f} s are kept already; forget one first")
            self._sounds[name] = upload
        return name

    def find(self, name: str) -> Upload | None:
        """The sound of a name; None if there is none of this seat."""
        with self._lock:
            return self._sounds.get(name)

    def forget(self, name: str) -> bool:
        """Lets a sound go; whether there was one."""
        with self._lock:
            return self._sounds.pop(name, None) is not None


def shown_name(name: str | None) -> str:
    """A sender's file name as it is shown: its last part, without control characters, short."""
    last = PurePosixPath((name or "").replace("\\", "/")).name
    clean = " ".join("".join(letter if letter.isprintable() else " " for letter in last).split())
    return clean[:LONGEST_NAME] or "sound"


def decode(data: bytes, name: str | None = None, *, config: UploadConfig | None = None) -> Upload:
    """Turns a file's bytes into sound, block by block, and stops where it gets too long.

    Args:
      data: the file: WAV, FLAC, Ogg, AIFF or MP3.
      name: as the sender calls it.
      config: what is taken.
    Raises:
      AudioFormatError: it is no sound, too long, too short, or holds samples that are no numbers.
    """
    config, shown = config or UploadConfig(), shown_name(name)
    is_mp3 = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0
    if not data.startswith(MAGIC) and not is_mp3:
        raise AudioFormatError(f"{shown}: this is no sound file; give WAV, FLAC, Ogg, AIFF or MP3")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            samples = _decode_blocks(file, shown, config)
    except (soundfile.SoundFileError, RuntimeError, OSError, ValueError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise AudioFormatError(f"{shown}: cannot be read as sound ({reason}); convert it to WAV or FLAC") from error
    upload = Upload(shown, samples)
    if upload.seconds < config.least_seconds:
        raise AudioFormatError(f"{shown}: holds {upload.seconds:.2f} s; give {config.least_seconds:g} s or more")
    return upload


def _decode_blocks(file: soundfile.SoundFile, shown: str, config: UploadConfig) -> Float[np.ndarray, "samples 2"]:
    """48 kHz stereo. The header says how to read a block; how many there are is seen."""
    rate = file.samplerate
    if not LOWEST_HZ <= rate <= HIGHEST_HZ or not 1 <= file.channels <= MOST_CHANNELS:
        raise AudioFormatError(
            f"{shown}: {file.channels} channels at {rate} Hz; give 1 to {MOST_CHANNELS} at {LOWEST_HZ} to {HIGHEST_HZ} Hz"
        )
    most = round(config.most_seconds * rate)
    resampler = None if rate == SAMPLE_RATE_HZ else soxr.ResampleStream(rate, SAMPLE_RATE_HZ, 2, dtype="float32")
    pieces: list[np.ndarray] = []
    taken = 0
    while len(block := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
        taken += len(block)
        if taken > most:
            raise AudioFormatError(f"{shown}: longer than {config.most_seconds:g} s; cut it to what it is to tell")
        if not np.isfinite(block).all():
            raise AudioFormatError(f"{shown}: holds NaN or infinite samples; export it again as PCM WAV or FLAC")
        stereo = np.clip(block[:, :2], -LOUDEST_INPUT, LOUDEST_INPUT)
        stereo = np.repeat(stereo, 2, axis=1) if stereo.shape[1] == 1 else np.ascontiguousarray(stereo)
        pieces.append(stereo if resampler is None else resampler.resample_chunk(stereo))
    if resampler is not None:
        pieces.append(resampler.resample_chunk(np.zeros((0, 2), np.float32), last=True))
    return np.concatenate([np.zeros((0, 2), np.float32), *pieces]).astype(np.float32, copy=False)
