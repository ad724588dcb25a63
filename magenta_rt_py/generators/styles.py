"""Styles: from any prompts to what the language model reads."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py import audio
from magenta_rt_py.generators.score import check_weight

if TYPE_CHECKING:
    from magenta_rt_py.style import StyleEmbedder

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".m4a", ".au", ".w64")
"""A text prompt that ends like this is taken for the path of an audio file, whether or not it exists."""

MAX_PROMPT_CHARACTERS = 2_000
"""Longest text prompt; the text tower reads about the first hundred words."""


class Style(NamedTuple):
    """A point in the style space: what a mix of prompts comes to."""

    embedding: Float[np.ndarray, "dim"] | None
    """None: no style, the model plays what it likes."""
    codes: Int[np.ndarray, "levels"] | None
    """Codes of the style quantizer's first levels, which condition the language model; None: masked."""


NO_STYLE = Style(embedding=None, codes=None)


def as_prompt(prompt: Any) -> str | audio.Audio:
    """Makes out what a prompt is: text stays text; a path, array or Audio becomes Audio.

    Args:
      prompt: text; the path of an audio file (a string that ends like one, names an existing file, or a Path);
        an Audio; or a pair of samples ([samples] or [samples, channels]) and their sample rate in Hz.
    Raises:
      ValueError: if the text is empty or longer than 2000 characters, or the array is no audio.
      AudioFormatError: if the file cannot be read.
    """
    if isinstance(prompt, audio.Audio):
        return prompt
    if isinstance(prompt, os.PathLike) or (isinstance(prompt, str) and is_audio_path(prompt)):
        return audio.read(prompt)
    if isinstance(prompt, str):
        return check_text(prompt)
    if isinstance(prompt, tuple) and len(prompt) == 2:
        return _audio_from_array(np.asarray(prompt[0], dtype=np.float32), int(prompt[1]))
    raise ValueError(
        f"a prompt is text, the path of an audio file, or a pair (samples, sample_rate); got {type(prompt).__name__}"
    )


def is_audio_path(prompt: str) -> bool:
    """Whether a string prompt means a file: it ends like an audio file or names an existing one."""
    if prompt.lower().rstrip().endswith(AUDIO_SUFFIXES):
        return True
    try:
        return Path(prompt).is_file()
    except (OSError, ValueError):  # too long for a path, or a NUL in it
        return False


def check_text(prompt: str) -> str:
    """A text prompt without surrounding blanks; refuses empty and endless ones."""
    text = prompt.strip()
    if not text:
        raise ValueError('an empty prompt; give a few words such as "lofi hip hop"')
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise ValueError(f"a prompt of {len(text)} characters ({text[:40]!r}...); give at most {MAX_PROMPT_CHARACTERS}")
    return text


def as_pairs(prompts: Any) -> list[tuple[Any, float]]:
    """Prompts and weights as a list of pairs, weights checked.

    Args:
      prompts: {prompt: weight}, or an iterable of (prompt, weight).
    """
    items: Iterable[Any] = prompts.items() if isinstance(prompts, Mapping) else prompts
    pairs = []
    for item in items:
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise ValueError(f"expected pairs of prompt and weight, got {item!r}")
        prompt, weight = item
        pairs.append((prompt, check_weight(str(prompt) if isinstance(prompt, str | Path) else "audio", weight)))
    return pairs


def _audio_from_array(samples: np.ndarray, sample_rate: int) -> audio.Audio:
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2 or samples.shape[0] == 0 or not np.isfinite(samples).all():
        raise ValueError(f"audio must be finite samples [samples] or [samples, channels]; got shape {samples.shape}")
    if not math.isfinite(sample_rate) or not 1_000 <= sample_rate <= 768_000:
        raise ValueError(f"the sample rate is {sample_rate} Hz; give 1000 .. 768000")
    return audio.Audio(samples=samples, sample_rate=sample_rate)


def embed(style_model: StyleEmbedder, prompt: str | audio.Audio) -> Float[np.ndarray, "dim"]:
    """Embedding of a prompt that `as_prompt` made out."""
    if isinstance(prompt, str):
        return style_model.embed_text([prompt])[0]
    mono = audio.to_mono(prompt.samples, prompt.sample_rate, style_model.config.sample_rate_hz)
    return style_model.embed_audio(mono)
