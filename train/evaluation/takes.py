"""Takes for the evaluation: every prompt with every fixed seed, all kept and counted."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from magenta_rt_py import audio
from magenta_rt_py.train.evaluation import audio_metrics
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.prompts import (
    EVALUATION_PROMPTS,
    EVALUATION_SEEDS,
    TAKE_SECONDS,
    EvaluationPrompt,
)
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


def generate_takes(
    model: ModelLike,
    *,
    prompts: Sequence[EvaluationPrompt] = EVALUATION_PROMPTS,
    seeds: Sequence[int] = EVALUATION_SEEDS,
    seconds: float = TAKE_SECONDS,
    style_masked: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Sound]:
    """Makes every prompt's takes; none is ever dropped or made again."""
    takes = []
    for prompt in prompts:
        for seed in seeds:
            takes.append(generate_take(model, prompt, seed=seed, seconds=seconds, style_masked=style_masked))
            progress(f"takes: {len(takes)}/{len(prompts) * len(seeds)} {prompt.text}")
    return takes


def save_takes(folder: pathlib.Path, takes: Sequence[Sound]) -> None:
    """Writes every take as FLAC and one picture with a row a take."""
    folder.mkdir(parents=True, exist_ok=True)
    for take in takes:
        name = f"{take.genre.replace(' ', '_')}_{take.seed}.flac"
        audio.write(folder / name, take.samples, SAMPLE_RATE_HZ)
    contact_sheet(folder / "contact_sheet.png", takes)


def contact_sheet(file: pathlib.Path, sounds: Sequence[Sound]) -> None:
    """Draws the mel spectrogram of every sound, one row each, all on one level scale."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 1.1 * len(sounds)))
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(sounds), 1, squeeze=False)[:, 0]
    for axis, sound in zip(axes, sounds, strict=True):
        mono = sound.samples.mean(1)
        mel = audio_metrics.magnitudes(mono, window_samples=2048, hop_samples=960)
        mel = mel @ audio_metrics.mel_filters(2048, 128)
        axis.imshow(
            20.0 * np.log10(mel.T + 1e-4),
            aspect="auto",
            origin="lower",
            cmap="magma",
            vmin=-60.0,
            vmax=10.0,
            extent=(0.0, len(mono) / SAMPLE_RATE_HZ, 0.0, 128.0),
        )
        axis.set_yticks([])
        axis.tick_params(labelsize=6)
        axis.set_ylabel(
            f"{sound.genre}\n{sound.bpm:.0f} bpm\nseed {sound.seed % 10_000}",
            fontsize=6,
            rotation=0,
            ha="right",
            va="center",
        )
    figure.tight_layout(pad=0.3)
    figure.savefig(file, dpi=80)
