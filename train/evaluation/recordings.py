"""Recordings of a folder, in blocks: real music for the codec, and audio prompts. Nothing is kept in memory whole."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np
import soundfile

from magenta_rt_py.audio import Audio, to_stereo_48k
from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.renders import Sound
from magenta_rt_py.train.folder import SUFFIXES

QUIET_RMS = 1e-3
"""A block below this, -60 dBFS, is left out: silence codes well and says nothing."""


def audio_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """All files below a folder that may be audio, sorted by name.

    Raises:
      AudioFormatError: if there is no such folder, or nothing in it has an ending of audio.
    """
    if not folder.is_dir():
        raise AudioFormatError(f"{folder}: no such folder; give a folder of recordings")
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise AudioFormatError(f"{folder}: holds no audio that libsndfile reads; give WAV, FLAC, Ogg or MP3 files")
    return found


def blocks(file: pathlib.Path, *, seconds: float, most: int) -> Iterator[Sound]:
    """Blocks of a recording, spread evenly over it, 48 kHz stereo.

    Args:
      file: any rate, any number of channels.
      seconds: length of a block; what is shorter is left out, but a file of at least 2 s gives one short block.
      most: blocks of a file.
    Raises:
      AudioFormatError: if it is no audio.
    """
    try:
        with soundfile.SoundFile(file) as opened:
            size = round(seconds * opened.samplerate)
            count = opened.frames // size
            if count == 0 and opened.frames >= 2 * opened.samplerate:
                size, count = opened.frames, 1
            for number in np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)) if count else ():
                opened.seek(int(number) * size)
                samples = opened.read(size, dtype="float32", always_2d=True)
                sound = to_stereo_48k(Audio(samples, opened.samplerate))
                if np.isfinite(sound).all() and np.sqrt(np.mean(sound.astype(np.float64) ** 2)) > QUIET_RMS:
                    whole = len(sound) // (SAMPLE_RATE_HZ // 25) * (SAMPLE_RATE_HZ // 25)
                    yield Sound(samples=sound[:whole], genre=file.name, bpm=0.0, seed=int(number))
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        reason = str(error).replace("\n", " ").rstrip(".")
        raise AudioFormatError(f"{file}: not a readable audio file ({reason}); convert it to WAV or FLAC") from error
