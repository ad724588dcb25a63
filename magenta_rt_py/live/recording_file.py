"""RecordingFile: a WAV or FLAC file that grows while the music plays and can be played at any moment, even half written.

A WAV file's header is written again at every flush. A FLAC file's header says "length unknown" until the file is closed,
which many players refuse, so its field for the length is filled in at every flush, with the samples that are safely in
the file. Whatever kills the process then, at most what came after the last flush is lost.
Source: RFC 9639, section 8.2 (STREAMINFO).
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float

__all__ = ["SUFFIXES", "RecordingFile", "check_suffix", "explain"]

SUFFIXES = (".flac", ".wav")
LONGEST_WAV_BYTES = 2**32 - 2**16
"""A WAV file counts its bytes in 32 bits: 4 hours of stereo at 48 kHz."""
BYTES_A_SAMPLE = 3
"""24 bits: 16 would add audible noise to quiet fades."""
LITTLE_ROOM_BYTES = 2**20
"""With less room than this, a failed write is put down to a full disk."""


def check_suffix(path: Path) -> None:
    """Refuses what is neither FLAC nor WAV.

    Raises:
      ValueError: another suffix.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: cannot record to a {path.suffix!r} file; use one of {', '.join(SUFFIXES)}")


class RecordingFile:
    """A growing file. Stateful; for one thread, which may have to wait for the disk."""

    def __init__(self, path: Path, *, sample_rate: int, channels: int):
        """Makes the file; never replaces one.

        Args:
          path: .flac or .wav.
          sample_rate: samples a second.
          channels: 1 or 2.
        Raises:
          ValueError: another suffix.
          OSError: there is such a file already, or the place does not take it.
        """
        check_suffix(path)
        if path.exists():
            raise FileExistsError(f"{path} exists already; give another name")
        self._path = path
        self._bytes_a_sample = BYTES_A_SAMPLE * channels
        self._file = soundfile.SoundFile(path, "x", sample_rate, channels, "PCM_24")
        self.samples = 0
        """Samples written."""
        self.safe_samples = 0
        """Samples that would be found in the file if the process died now."""

    def append(self, samples: Float[np.ndarray, "samples channels"]) -> None:
        """Writes samples; beyond full scale they are clipped, NaN becomes silence.

        Raises:
          OSError: the disk does not take them, or the file has reached its format's limit.
        """
        if self._is_wav and (self.samples + len(samples)) * self._bytes_a_sample > LONGEST_WAV_BYTES:
            raise OSError("a WAV file holds 4 GiB; record to .flac")
        self._file.write(np.clip(np.nan_to_num(samples), -1.0, 1.0))
        self.samples += len(samples)

    def flush(self) -> None:
        """Makes what was written playable. Raises OSError if the disk does not take it."""
        self._file.flush()
        safe = self.samples if self._is_wav else self._write_flac_length()
        self.safe_samples = max(self.safe_samples, safe)

    def close(self) -> None:
        """Completes the file. Raises OSError if the disk does not take it."""
        self._file.close()
        self.safe_samples = self.samples

    def abandon(self) -> None:
        """Leaves the file playable up to the last flush, after an error."""
        with contextlib.suppress(OSError, RuntimeError):  # what it still wanted to write is lost, what was flushed is not
            self._file.close()

    @property
    def _is_wav(self) -> bool:
        return self._path.suffix.lower() == ".wav"

    def _write_flac_length(self) -> int:
        """Fills in the header's length: the samples of the blocks that are in the file.

        The header: "fLaC", 4 bytes of block header, 2 bytes shortest and 2 bytes longest block, 6 bytes of frame sizes,
        then 64 bits that end with 36 bits of length.
        """
        with open(self._path, "r+b") as header:
            start = header.read(26)
            if len(start) < 26:
                return 0  # nothing has reached the file yet
            block_samples = int.from_bytes(start[10:12], "big")
            # The encoder keeps a block back until it has seen the sample after it.
            samples = max(0, self.samples - 1) // block_samples * block_samples
            field = (start[21] & 0xF0) << 32 | samples
            header.seek(21)
            header.write(field.to_bytes(5, "big"))
        return samples


def explain(path: Path, error: BaseException) -> str:
    """Why a file could not be written, in a few words."""
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    try:
        if shutil.disk_usage(folder).free < LITTLE_ROOM_BYTES:
            return "the disk is full"
    except OSError:
        return "the disk does not answer"
    return str(getattr(error, "strerror", None) or error).replace("\n", " ").strip().rstrip(".:") or "the system refused"
