"""Audio as arrays: reading, writing, resampling, channels, decibels. Float32, full scale is -1..1."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from jaxtyping import Float

from magenta_rt_py.errors import AudioFormatError

__all__ = [
    "SAMPLE_RATE_HZ",
    "Audio",
    "db_to_gain",
    "gain_to_db",
    "read",
    "resample",
    "to_mono",
    "to_stereo_48k",
    "write",
]

SAMPLE_RATE_HZ = 48_000  # of everything this package plays; prompts and inputs are brought to it

# What a file's suffix means for the bits of a sample. 24 bits: 16 would add audible noise to quiet fades.
_SUBTYPES = {".flac": "PCM_24", ".wav": "PCM_24", ".aiff": "PCM_24", ".ogg": "VORBIS", ".opus": "OPUS"}
# Opus travels in an Ogg file, which its suffix does not say.
_FORMATS = {".opus": "OGG"}


@dataclass(frozen=True)
class Audio:
    """A piece of audio in memory.

    Attributes:
      samples: time first, at `sample_rate`; full scale is -1..1, and more is allowed until it is written.
      sample_rate: samples a second.
    """

    samples: Float[np.ndarray, "samples channels"]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate


def read(path: str | os.PathLike) -> Audio:
    """Reads an audio file of any kind libsndfile knows (WAV, FLAC, OGG, MP3, AIFF, ...).

    Args:
      path: the file.
    Returns:
      its audio as float32, all channels, at the file's own sample rate.
    Raises:
      AudioFormatError: the file is missing, is not audio, is empty, or holds NaN or infinite samples.
    """
    name = os.fspath(path)
    if not Path(name).is_file():
        raise AudioFormatError(f"{name}: no such audio file; check the path")
    try:
        samples, sample_rate = soundfile.read(name, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        reason = str(error).replace("\n", " ").rstrip(".")
        raise AudioFormatError(f"{name}: not a readable audio file ({reason}); convert it to WAV or FLAC") from error
    if not len(samples):
        raise AudioFormatError(f"{name}: holds no samples; give a file with some audio in it")
    if not np.isfinite(samples).all():
        raise AudioFormatError(f"{name}: holds NaN or infinite samples; export it again as PCM WAV or FLAC")
    return Audio(samples, int(sample_rate))


def write(path: str | os.PathLike, samples: Float[np.ndarray, "samples channels"], sample_rate: int) -> None:
    """Writes audio, replacing the file only once all of it is on the disk.

    Args:
      path: where to; the suffix chooses the format: .wav, .flac, .aiff (24 bits), .ogg, or .opus (which takes
        8, 12, 16, 24 or 48 kHz).
      samples: full scale is -1..1; what is beyond is clipped.
      sample_rate: samples a second.
    Raises:
      ValueError: unknown suffix, no samples, or samples that are NaN or infinite.
      OSError: the disk or the directory does not take the file; what was there before is untouched.
    """
    target = Path(path)
    subtype = _SUBTYPES.get(target.suffix.lower())
    if subtype is None:
        raise ValueError(f"{target}: cannot write a {target.suffix!r} file; use one of {', '.join(sorted(_SUBTYPES))}")
    if not len(samples) or not np.isfinite(samples).all():
        raise ValueError(f"{target}: got empty, NaN or infinite samples; audio must be finite numbers around -1..1")
    # In the same directory, so that the replacement is one step.
    partial = target.with_name(f".{target.stem}.partial{target.suffix}")
    try:
        form = _FORMATS.get(target.suffix.lower())
        soundfile.write(partial, np.clip(samples, -1.0, 1.0), sample_rate, subtype=subtype, format=form)
        partial.replace(target)
    except (soundfile.SoundFileError, RuntimeError) as error:
        reason = str(error).replace("\n", " ").rstrip(".")
        raise OSError(f"{target}: could not be written ({reason}); is there such a directory, and room?") from error
    finally:
        partial.unlink(missing_ok=True)


def resample(
    samples: Float[np.ndarray, "samples channels"], sample_rate: int, target_hz: int
) -> Float[np.ndarray, "resampled channels"]:
    """Changes the sample rate of a whole piece of audio.

    Args:
      samples: audio at `sample_rate`.
      sample_rate: its samples a second.
      target_hz: the samples a second wanted.
    Returns:
      float32 audio of the same duration, rounded to whole samples.
    Raises:
      ValueError: a sample rate is not positive.
    """
    if sample_rate <= 0 or target_hz <= 0:
        raise ValueError(f"sample rates must be positive, got {sample_rate} Hz to {target_hz} Hz")
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if sample_rate == target_hz or not len(samples):
        return samples
    return np.asarray(soxr.resample(samples, sample_rate, target_hz, quality="HQ"), dtype=np.float32)


def to_stereo_48k(audio: Audio) -> Float[np.ndarray, "samples 2"]:
    """Brings audio to what the codecs take: 48 kHz, two channels.

    One channel is doubled; of more than two the first two are kept (front left and right in every common order).
    """
    samples = audio.samples
    samples = np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else samples[:, :2]
    return resample(samples, audio.sample_rate, SAMPLE_RATE_HZ)


def to_mono(
    samples: Float[np.ndarray, "samples channels"], sample_rate: int, target_hz: int
) -> Float[np.ndarray, "resampled"]:
    """Averages the channels and changes the sample rate, as the style model's audio tower needs (16 kHz mono)."""
    mono = np.asarray(np.mean(samples, axis=1, keepdims=True), dtype=np.float32)
    return resample(mono, sample_rate, target_hz)[:, 0]


def db_to_gain(level_db: float) -> float:
    """Amplitude factor of a level in decibels: 0 dB is 1, -6.02 dB is a half."""
    return float(10.0 ** (level_db / 20.0))


def gain_to_db(gain: float) -> float:
    """Level in decibels of an amplitude factor; a factor of zero is -inf.

    Raises:
      ValueError: the factor is negative or NaN.
    """
    if not gain >= 0.0:
        raise ValueError(f"a gain must be 0 or more, got {gain}")
    return float(20.0 * np.log10(gain)) if gain else -float("inf")
