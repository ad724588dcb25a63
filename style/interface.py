"""What every style model of this package offers: prompts to embeddings, and embeddings to style codes."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.style.prompts import Prompt


@runtime_checkable
class StyleEmbedder(Protocol):
    """A style model as generators, the server and the commands see it.

    Fulfilled by `StyleModel`, which this package trains, and by `MusicCoCa`, the released one. Embeddings of text and
    audio share one space; only a model's own codes and embeddings fit each other and the language model trained on them.
    """

    @property
    def config(self) -> StyleConfig:
        """Sizes. Generators read sample_rate_hz (of `embed_audio`), dim, num_levels and codebook_size."""
        ...

    @property
    def code_vectors(self) -> Float[np.ndarray, "levels codebook_size dim"]:
        """What the codes stand for: vectors that are summed over the levels."""
        ...

    def embed_text(self, prompts: Sequence[str]) -> Float[np.ndarray, "prompts dim"]:
        """Embeddings of text prompts.

        Raises:
          ValueError: a prompt is empty, or longer than config.max_prompt_characters; or it is one string, not a list.
        """
        ...

    def embed_audio(self, samples: np.ndarray) -> Float[np.ndarray, " dim"]:
        """Embedding of mono audio [samples] at config.sample_rate_hz, full scale 1.0, of any length above zero.

        Raises:
          ValueError: the audio is empty, not mono, not finite or not floating point.
        """
        ...

    def mix(self, prompts: Sequence[Prompt]) -> Float[np.ndarray, " dim"] | None:
        """Embeds prompts and blends them by weight; None when none has a weight above zero (play without style)."""
        ...

    def quantize(self, embedding: Float[np.ndarray, "*batch dim"]) -> Int[np.ndarray, "*batch levels"]:
        """Style codes, 0 .. codebook_size - 1, of every level; a language model reads the leading ones it was trained on."""
        ...

    def dequantize(self, codes: Int[np.ndarray, "*batch used"]) -> Float[np.ndarray, "*batch dim"]:
        """Embeddings that the leading levels given stand for."""
        ...
