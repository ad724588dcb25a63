"""Takes for the evaluation: a prompt, a seed, a cold start; none is ever dropped or made again for being bad."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from magenta_rt_py import audio
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.prompts import TAKE_SECONDS, EvaluationPrompt
from magenta_rt_py.train.evaluation.renders import Sound

CHUNK_SECONDS = 2.0


@runtime_checkable
class StreamLike(Protocol):
    """What is needed of a stream."""

    def chunks(self, count: int) -> Iterable[np.ndarray]: ...


@runtime_checkable
class ModelLike(Protocol):
    """What is needed of a model: the public programming interface, nothing inside."""

    def mix(self, prompts: Any) -> Any: ...

    def stream(self, style: Any, *, seed: int, bpm: float | None) -> StreamLike: ...


def generate_take(
    model: ModelLike,
    prompt: EvaluationPrompt,
    *,
    seed: int,
    seconds: float = TAKE_SECONDS,
    style_masked: bool = False,
) -> Sound:
    """Streams one cold-start take with the model's own default sampling.

    Args:
      style_masked: weight the prompt 0, so that only the tempo is asked for:
        shows how much of a genre the tempo alone gives away.
    """
    style = model.mix({prompt.text: 0.0 if style_masked else 1.0})
    stream = model.stream(style, seed=seed, bpm=prompt.bpm)
    chunks = list(stream.chunks(math.ceil(seconds / CHUNK_SECONDS)))
    samples = np.concatenate([np.asarray(chunk, np.float32) for chunk in chunks])
    return Sound(
        samples=samples[: int(seconds * SAMPLE_RATE_HZ)],
        genre=prompt.genre,
        bpm=prompt.bpm,
        seed=seed,
    )


def file_name(genre: str, seed: int) -> str:
    """Name of a kept take."""
    return f"{genre.replace(' ', '_')}_{seed}.flac"


def save(file: pathlib.Path, take: Sound) -> None:
    """Writes a take as FLAC; its folder is made if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    audio.write(file, take.samples, SAMPLE_RATE_HZ)
