"""Text to word-piece ids: a SentencePiece model kept as bytes, so that it travels inside a bundle."""

import numpy as np
import sentencepiece
from jaxtyping import Bool, Int

from magenta_rt_py.style.config import StyleConfig

PAD_ID = 0
BOS_ID = 1


class Tokenizer:
    """Lower-cases a prompt and turns it into padded ids: BOS, pieces, padding.

    The released pipeline does the same: lower-case, SentencePiece, truncate to max_tokens - 1, prepend 1, pad with 0.
    """

    def __init__(self, model_bytes: bytes, config: StyleConfig) -> None:
        """Loads a serialized SentencePiece model; ValueError when the bytes are not one or hold too many pieces."""
        self.model_bytes = bytes(model_bytes)
        self._config = config
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(self.model_bytes)
            pieces = self._processor.GetPieceSize()
        except Exception as error:  # sentencepiece raises bare RuntimeError or OSError by version
            raise ValueError(
                f"the tokenizer's {len(self.model_bytes)} bytes are not a SentencePiece model: {error}"
            ) from error
        if pieces == 0 or pieces > config.vocabulary_size:
            raise ValueError(
                f"the tokenizer has {pieces} pieces but the text tower has {config.vocabulary_size} rows; "
                "use the tokenizer that was trained with this style model"
            )

    @property
    def vocabulary_size(self) -> int:
        """Number of pieces."""
        return self._processor.GetPieceSize()

    def pieces(self, prompt: str) -> list[int]:
        """Ids of one prompt without BOS and padding, not truncated.

        Raises:
          ValueError: the prompt is empty or blank, or is longer than config.max_prompt_characters.
        """
        limit = self._config.max_prompt_characters
        if len(prompt) > limit:
            raise ValueError(f"the prompt has {len(prompt)} characters; shorten it to at most {limit}")
        text = prompt.strip().lower()
        if not text:
            raise ValueError("the prompt is empty; write a few words, or leave the prompt out to play without style")
        # Lone surrogates are not text in any encoding; SentencePiece wants valid UTF-8.
        return self._processor.EncodeAsIds(text.encode("utf-8", "replace").decode("utf-8"))

    def encode(self, prompts: list[str]) -> tuple[Int[np.ndarray, "batch max_tokens"], Bool[np.ndarray, "batch max_tokens"]]:
        """Padded ids of prompts and where they are real.

        A prompt of more than max_tokens - 1 pieces is truncated, as in the released pipeline.

        Raises:
          ValueError: see `pieces`.
        """
        ids = np.full((len(prompts), self._config.max_tokens), PAD_ID, np.int32)
        present = np.zeros(ids.shape, bool)
        for row, prompt in enumerate(prompts):
            pieces = [BOS_ID, *self.pieces(prompt)[: self._config.max_tokens - 1]]
            ids[row, : len(pieces)] = pieces
            present[row, : len(pieces)] = True
        return ids, present

    def decode(self, ids: list[int]) -> str:
        """Text of ids; BOS and padding are left out."""
        return self._processor.DecodeIds([int(i) for i in ids if int(i) not in (PAD_ID, BOS_ID)])
