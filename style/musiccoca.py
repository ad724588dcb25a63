"""MusicCoCa, the released style model: text and audio to 768 numbers, and those to twelve style codes.

Source: Live Music Models, section 2.2; the released geometry.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.style import musiccoca_quantizer
from magenta_rt_py.style import prompts as prompts_lib
from magenta_rt_py.style.embedder import check_samples
from magenta_rt_py.style.musiccoca_config import MusicCoCaConfig
from magenta_rt_py.style.musiccoca_towers import Towers
from magenta_rt_py.style.prompts import Prompt
from magenta_rt_py.style.tokenizer import Tokenizer

CODE_VECTORS_KEY = "quantizer/code_vectors"
TOKENIZER_KEY = "tokenizer/model"


class MusicCoCa:
    """The released style model over towers of any kind; fulfils `StyleEmbedder`.

    Differs from the released code in the mix: its command-line program divides a weighted mean by the number of prompts
    once more, which moves the codes.

    Attributes:
      config: the geometry.
      code_vectors: style codebooks, float32 [num_levels, codebook_size, dim].
      tokenizer: the word-piece model.
    """

    def __init__(
        self, config: MusicCoCaConfig, towers: Towers, code_vectors: np.ndarray, tokenizer_bytes: bytes
    ) -> None:
        """Puts the parts together.

        Args:
          config: their geometry.
          towers: of the kind config.towers names.
          code_vectors: style codebooks [num_levels, codebook_size, dim].
          tokenizer_bytes: the serialized SentencePiece model.

        Raises:
          ValueError: the towers are of another kind, the code vectors do not fit, or the bytes are no tokenizer.
        """
        if towers.kind != config.towers:
            raise ValueError(f"got {towers.kind} towers with a config for {config.towers}; change one of the two")
        expected = (config.num_levels, config.codebook_size, config.dim)
        if np.shape(code_vectors) != expected:
            raise ValueError(
                f"got style code vectors of shape {np.shape(code_vectors)}, expected {expected}; "
                "take the quantizer that belongs to these towers"
            )
        self.config = config
        self.code_vectors = np.asarray(code_vectors, np.float32)
        self.tokenizer = Tokenizer(tokenizer_bytes, config)
        self._towers = towers

    def embed_text(self, prompts: Sequence[str]) -> Float[np.ndarray, "prompts dim"]:
        """Embeddings of text prompts: lower-cased, cut to max_tokens - 1 pieces, not scaled to any length.

        Raises:
          ValueError: a prompt is empty or longer than config.max_prompt_characters.
        """
        if isinstance(prompts, str):
            raise ValueError("embed_text takes a list of prompts; put the single prompt in a list")
        if not prompts:
            return np.zeros((0, self.config.dim), np.float32)
        ids, present = self.tokenizer.encode(list(prompts))
        return self._checked(self._towers.embed_tokens(ids, 1.0 - present.astype(np.float32)), len(ids))

    def embed_audio(self, samples: np.ndarray) -> Float[np.ndarray, " dim"]:
        """Embedding of mono 16 kHz audio [samples] of any length.

        The mean over its 10 s clips, which do not overlap; the last is filled with silence. It is not scaled.

        Raises:
          ValueError: the audio is empty, not mono, not finite or not floating point.
        """
        samples, size = check_samples(samples), self.config.clip_samples
        count = -(-len(samples) // size)
        clips = np.pad(samples, (0, count * size - len(samples))).reshape(count, size)
        return self._checked(self._towers.embed_waveform(clips), count).mean(axis=0)

    def mix(self, prompts: Sequence[Prompt]) -> Float[np.ndarray, " dim"] | None:
        """Embeds and mixes prompts; None when none has a weight above zero (play without style)."""
        used = [prompt for prompt in prompts if prompt.weight > 0]
        embeddings = [
            self.embed_audio(prompt.audio) if prompt.text is None else self.embed_text([prompt.text])[0] for prompt in used
        ]
        return prompts_lib.mix(embeddings, [prompt.weight for prompt in used])

    def quantize(self, embedding: Float[np.ndarray, "*batch dim"]) -> Int[np.ndarray, "*batch levels"]:
        """Style codes of embeddings, all levels; the released language models read the first 6."""
        dim = self.config.dim
        if embedding.shape[-1] != dim:
            raise ValueError(f"got embeddings of {embedding.shape[-1]} numbers, expected {dim}; embed with this model")
        codes = musiccoca_quantizer.encode(self.code_vectors, np.asarray(embedding, np.float32).reshape(-1, dim))
        return codes.reshape(*embedding.shape[:-1], self.config.num_levels)

    def dequantize(self, codes: Int[np.ndarray, "*batch used"]) -> Float[np.ndarray, "*batch dim"]:
        """Embeddings that the leading levels given stand for."""
        return musiccoca_quantizer.decode(self.code_vectors, np.asarray(codes))

    def to_parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, Path]]:
        """What a bundle keeps: the config as JSON values, tensors, and files by their name in the bundle.

        `style_from_tensors(*model.to_parts())` is the same model. The code vectors have to be stored as float32: the
        released codes hang on their last digits.
        """
        tensors = self._towers.to_tensors() | {
            CODE_VECTORS_KEY: self.code_vectors,
            TOKENIZER_KEY: np.frombuffer(self.tokenizer.model_bytes, np.uint8),
        }
        return self.config.to_dict(), tensors, self._towers.to_assets()

    def _checked(self, embeddings: np.ndarray, rows: int) -> np.ndarray:
        if embeddings.shape != (rows, self.config.dim):
            raise ValueError(
                f"the {self.config.towers} towers gave embeddings of shape {embeddings.shape}, expected "
                f"{(rows, self.config.dim)}; take towers and quantizer from the same release"
            )
        return embeddings
