"""Everything the evaluation wants to know of one sound, so that the sound itself need not be kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from magenta_rt_py.train.evaluation import audio_metrics, descriptor, random_features, rhythm
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.renders import Sound
from magenta_rt_py.train.evaluation.rhythm import Rhythm
from magenta_rt_py.train.evaluation.units import Record

Embed = Callable[[Any], Any]
"""Brings a prompt into the style space, as `MusicModel.embed` does: text, or a pair of samples and their rate in Hz, to
a vector."""

Describe = Callable[[np.ndarray], np.ndarray]
"""Samples [samples 2] at 48 kHz to rows [windows, numbers]: another program's model, see `outside`."""

PICTURE_BANDS = 64
PICTURE_HOP_SAMPLES = 4800
PICTURE_RANGE_DB = (-60.0, 10.0)
"""Mel levels from black to white in pictures."""

_OTHER = "other/"
"""Prefix of other programs' rows in a record."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    """One sound, measured."""

    text: str
    """The prompt; empty for a render."""
    genre: str
    """The genre asked for, or rendered."""
    bpm: float
    """The tempo asked for, or rendered."""
    seed: int
    instruments: tuple[str, ...]
    """Of a render: those that play."""
    descriptors: Float[np.ndarray, "windows features"]
    """For the probe, see `descriptor`; windows overlap by half."""
    style: Float[np.ndarray, "clips dim"] | None
    """Style embedding of each 10 s; None without a style model."""
    random: Float[np.ndarray, "clips random_dim"]
    """`random_features` of each 10 s."""
    rhythm: Rhythm
    picture: UInt8[np.ndarray, "bands columns"]
    """Mel spectrogram, ten columns a second; 0 is -60 dB, 255 is 10 dB."""
    others: Mapping[str, np.ndarray]
    """Rows of other programs' models, by name."""

    def to_record(self) -> Record:
        """As `units` keeps it."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        others = fields.pop("others")
        fields["instruments"] = list(self.instruments)
        fields["rhythm"] = dataclasses.asdict(self.rhythm)
        return {**fields, **{_OTHER + name: rows for name, rows in others.items()}}

    @classmethod
    def from_record(cls, record: Record) -> Heard:
        """The inverse of `to_record`."""
        fields = {name: value for name, value in record.items() if not name.startswith(_OTHER)}
        others = {name.removeprefix(_OTHER): rows for name, rows in record.items() if name.startswith(_OTHER)}
        fields["instruments"] = tuple(fields["instruments"])
        fields["rhythm"] = Rhythm(**fields["rhythm"])
        return cls(**fields, others=others)


def hear(sound: Sound, embed: Embed | None, *, text: str = "", others: Mapping[str, Describe] | None = None) -> Heard:
    """Measures a sound of 10 s or more.

    Args:
      sound: at its true level.
      embed: the style model; None leaves the style out.
      text: the prompt it was asked for with.
      others: further models to ask, by name.
    """
    clips = descriptor.windows(sound.samples, hop_seconds=descriptor.WINDOW_SECONDS)
    style = None
    if embed is not None:
        style = np.stack([np.asarray(embed((clip, SAMPLE_RATE_HZ)), np.float32) for clip in clips])
    return Heard(
        text=text,
        genre=sound.genre,
        bpm=sound.bpm,
        seed=sound.seed,
        instruments=sound.instruments,
        descriptors=descriptor.describe_all(sound.samples),
        style=style,
        random=np.stack([random_features.describe(clip) for clip in clips]),
        rhythm=rhythm.analyse(sound.samples, asked_bpm=sound.bpm),
        picture=picture_of(sound.samples),
        others={name: np.asarray(describe(sound.samples), np.float32) for name, describe in (others or {}).items()},
    )


def picture_of(samples: Float[np.ndarray, "samples 2"]) -> UInt8[np.ndarray, "bands columns"]:
    """A small mel spectrogram for contact sheets."""
    spectrum = audio_metrics.magnitudes(samples.mean(1), window_samples=2048, hop_samples=PICTURE_HOP_SAMPLES)
    levels_db = 20.0 * np.log10(spectrum @ audio_metrics.mel_filters(2048, PICTURE_BANDS) + 1e-4)
    low, high = PICTURE_RANGE_DB
    return np.clip((levels_db.T - low) / (high - low) * 255.0, 0, 255).astype(np.uint8)


def direction(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to length 1 along the last axis; only directions count in the style space."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def style_of(heard: Heard) -> Float[np.ndarray, " dim"] | None:
    """Direction of a whole sound's style: the mean over its clips."""
    return None if heard.style is None else direction(heard.style.mean(0))
