"""The style model: audio and text to one embedding space, and embeddings to style codes.

Source: Live Music Models, section 2.2.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from magenta_rt_py.nn import quantizer
from magenta_rt_py.nn.layers import repeat_layers
from magenta_rt_py.style import prompts as prompts_lib
from magenta_rt_py.style.audio_tower import AudioTower
from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.style.prompts import Prompt
from magenta_rt_py.style.spectrogram import log_mel
from magenta_rt_py.style.text_tower import TextTower
from magenta_rt_py.style.tokenizer import Tokenizer

AnyArray = Array | np.ndarray  # these run on device inside the towers and on the host in training

_BATCH_SIZES = (1, 16)  # the batch sizes towers are compiled for; larger inputs go in pieces
_TOKENIZER_KEY = "tokenizer/model"
_NORM_FLOOR = 1e-6


def finish(
    raw: Float[AnyArray, "batch dim"], modality_mean: Float[AnyArray, " dim"], config: StyleConfig
) -> Float[AnyArray, "batch dim"]:
    """Turns a tower's raw output into an embedding.

    With config.normalize the raw vector is scaled to length 1, its modality's mean is taken off and the rest is scaled
    to length sqrt(dim). Contrastive towers put texts and audio into two separate cones ("modality gap": Liang et al.,
    2022); without the two means the code vectors of a text would lie far from those of audio that fits it, and an LM
    reads styles through those vectors. The codes themselves seldom coincide: 1024 entries on level 0 are much finer
    than what a caption says. Without config.normalize (the released model) the raw vector is the
    embedding.
    """
    if not config.normalize:
        return raw
    return scale_to_length(scale_to_length(raw, 1.0) - modality_mean, config.dim**0.5)


def scale_to_length(vectors: Float[AnyArray, "*batch dim"], length: float) -> Float[Array, "*batch dim"]:
    """Vectors of the given length and unchanged direction; a zero vector stays zero."""
    norm = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
    return jnp.asarray(vectors) * (length / jnp.maximum(norm, _NORM_FLOOR))


class StyleModel:
    """The trained style model, ready to embed.

    Flat tensor names: "audio/..." and "text/..." (tower parameters), "front_end/mean" and "front_end/std" [mel_bands]
    (standardise the log-mel), "centre/audio" and "centre/text" [dim] (modality means of unit vectors),
    "quantizer/code_vectors" [num_levels, codebook_size, dim], and optionally "tokenizer/model" (the SentencePiece model
    as uint8).

    Attributes:
      config: the geometry.
      tokenizer: the word-piece model.
      code_vectors: style codebooks, float32 [num_levels, codebook_size, dim].
    """

    def __init__(self, config: StyleConfig, tensors: Mapping[str, Any], tokenizer: Tokenizer) -> None:
        """Prefer `from_tensors`, which also checks names and shapes."""
        self.config = config
        self.tokenizer = tokenizer
        self._tensors = {name: np.asarray(value, np.float32) for name, value in tensors.items()}
        self.code_vectors = self._tensors["quantizer/code_vectors"]
        tree = flax.traverse_util.unflatten_dict(self._tensors, sep="/")
        self._params = jax.tree.map(jnp.asarray, tree)
        self._audio = jax.jit(self._embed_log_mel_batch)
        self._text = jax.jit(self._embed_token_batch)
        self._codes = jax.jit(quantizer.encode)

    @classmethod
    def from_tensors(
        cls, config: StyleConfig, flat: Mapping[str, Any], tokenizer_bytes: bytes | None = None
    ) -> "StyleModel":
        """Builds the model from a bundle's tensors.

        Args:
          config: the geometry the tensors were made for.
          flat: slash path -> array, see the class.
          tokenizer_bytes: the serialized SentencePiece model; None reads the tensor "tokenizer/model".

        Raises:
          ValueError: a tensor is missing, unknown or of another shape, or there is no usable tokenizer.
        """
        tensors = dict(flat)
        packed = tensors.pop(_TOKENIZER_KEY, None)
        if tokenizer_bytes is None:
            if packed is None:
                raise ValueError(f"no tokenizer: pass tokenizer_bytes or a tensor {_TOKENIZER_KEY!r}")
            tokenizer_bytes = np.rint(np.asarray(packed)).astype(np.uint8).tobytes()
        expected = tensor_shapes(config)
        found = {name: tuple(value.shape) for name, value in tensors.items()}
        if found != expected:
            wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            name = wrong[0]
            raise ValueError(
                f"{len(wrong)} style tensors do not fit the config, the first is {name!r}: got shape "
                f"{found.get(name)}, expected {expected.get(name)}; load them with the config they were saved with"
            )
        return cls(config, tensors, Tokenizer(tokenizer_bytes, config))

    def to_tensors(self, *, with_tokenizer: bool = True) -> dict[str, np.ndarray]:
        """All tensors by slash path; the tokenizer's bytes are the uint8 tensor "tokenizer/model"."""
        tensors = dict(self._tensors)
        if with_tokenizer:
            tensors[_TOKENIZER_KEY] = np.frombuffer(self.tokenizer.model_bytes, np.uint8)
        return tensors

    def embed_audio(self, samples: np.ndarray) -> Float[np.ndarray, " dim"]:
        """Embedding of mono 16 kHz audio [samples] of any length: the mean over its 10 s clips.

        With pad_mode "zero" the last clip is filled with silence, as in the paper. With "loop" it is the last ten
        seconds, and audio shorter than a clip is repeated: a 3 s prompt then sounds like music of its kind, not like
        7 s of silence.

        Raises:
          ValueError: the audio is empty, not finite or not floating point.
        """
        clips = self._clips(check_samples(samples))
        embeddings = self.embed_log_mels(log_mel(clips, self.config))
        return self._rescaled(embeddings.mean(axis=0))

    def embed_log_mels(self, log_mels: Float[np.ndarray, "clips stft_frames bands"]) -> Float[np.ndarray, "clips dim"]:
        """Embeddings of clips already turned into log-mels (any float type)."""
        shape = (self.config.stft_frames, self.config.mel_bands)
        if log_mels.shape[1:] != shape:
            raise ValueError(f"log-mels of shape {log_mels.shape[1:]} do not fit the model's {shape}")
        return _in_batches(lambda rows: self._audio(self._params, rows), (log_mels,), (self.config.dim,))

    def embed_text(self, prompts: Sequence[str]) -> Float[np.ndarray, "prompts dim"]:
        """Embeddings of text prompts.

        Texts are lower-cased; beyond max_tokens pieces they are truncated.

        Raises:
          ValueError: a prompt is empty or longer than config.max_prompt_characters.
        """
        if isinstance(prompts, str):
            raise ValueError("embed_text takes a list of prompts; put the single prompt in a list")
        ids, present = self.tokenizer.encode(list(prompts))
        return _in_batches(lambda i, p: self._text(self._params, i, p), (ids, present), (self.config.dim,))

    def mix(self, prompts: Sequence[Prompt]) -> Float[np.ndarray, " dim"] | None:
        """Embeds and mixes prompts; None when none has a weight above zero (play without style)."""
        used = [prompt for prompt in prompts if prompt.weight > 0]
        embeddings = [
            self.embed_audio(prompt.audio) if prompt.text is None else self.embed_text([prompt.text])[0] for prompt in used
        ]
        return prompts_lib.mix(embeddings, [prompt.weight for prompt in used])

    def quantize(self, embedding: Float[np.ndarray, "*batch dim"]) -> Int[np.ndarray, "*batch levels"]:
        """Style codes of embeddings, 0 .. codebook_size - 1 per level.

        With config.normalize only the direction counts: a blend of two styles is shorter than either, and the codebooks
        know vectors of one length.
        """
        embedding = self._rescaled(np.asarray(embedding, np.float32))
        table = self._params["quantizer"]["code_vectors"]
        rows = (embedding.reshape(-1, self.config.dim),)
        codes = _in_batches(lambda vectors: self._codes(table, vectors), rows, (self.config.num_levels,), np.int32)
        return codes.reshape(*embedding.shape[:-1], self.config.num_levels)

    def dequantize(self, codes: Int[np.ndarray, "*batch used"]) -> Float[np.ndarray, "*batch dim"]:
        """Embeddings that the first `used` levels of codes stand for."""
        return np.asarray(quantizer.decode(self._params["quantizer"]["code_vectors"], jnp.asarray(codes)))

    def _rescaled(self, embedding: np.ndarray) -> np.ndarray:
        if not self.config.normalize:
            return embedding
        return np.asarray(scale_to_length(embedding, self.config.dim**0.5))

    def _clips(self, samples: np.ndarray) -> np.ndarray:
        size = self.config.clip_samples
        count = -(-len(samples) // size)
        if self.config.pad_mode == "zero":
            return np.pad(samples, (0, count * size - len(samples))).reshape(count, size)
        if len(samples) < size:
            return np.resize(samples, size)[None]
        starts = np.minimum(np.arange(count) * size, len(samples) - size)
        return np.stack([samples[start : start + size] for start in starts])

    def _embed_log_mel_batch(self, params, log_mels):
        tree = {"params": params["audio"]}
        standard = standardise(log_mels, params["front_end"]["mean"], params["front_end"]["std"])
        return finish(AudioTower(self.config).apply(tree, standard), params["centre"]["audio"], self.config)

    def _embed_token_batch(self, params, ids, present):
        raw = TextTower(self.config).apply({"params": params["text"]}, ids, present)
        return finish(raw, params["centre"]["text"], self.config)


def standardise(
    log_mels: Float[AnyArray, "batch stft_frames bands"],
    mean: Float[AnyArray, " bands"],
    std: Float[AnyArray, " bands"],
) -> Float[AnyArray, "batch stft_frames bands"]:
    """Log-mels with mean 0 and deviation 1 in every band over the training data."""
    return (log_mels - mean) / std


def check_samples(samples: np.ndarray) -> Float[np.ndarray, " samples"]:
    """The samples as float32; ValueError unless they are one non-empty, finite, floating-point channel."""
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"audio prompts are mono and not empty, got shape {samples.shape}; mix the channels down first")
    if not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(f"audio prompts are floats with full scale 1.0, got {samples.dtype}; convert them first")
    if not np.isfinite(samples).all():
        raise ValueError("the audio prompt has NaN or infinite samples; repair or replace the recording")
    return samples.astype(np.float32)


def tower_shapes(config: StyleConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the two towers' parameters by slash path, without computing any."""
    one_layer = dataclasses.replace(config, audio_layers=1, text_layers=1)
    key = jax.random.key(0)
    mels = jax.ShapeDtypeStruct((1, config.stft_frames, config.mel_bands), jnp.float32)
    ids = jax.ShapeDtypeStruct((1, config.max_tokens), jnp.int32)
    present = jax.ShapeDtypeStruct((1, config.max_tokens), jnp.bool_)
    tree = {
        "audio": jax.eval_shape(AudioTower(one_layer).init, key, mels)["params"],
        "text": jax.eval_shape(TextTower(one_layer).init, key, ids, present)["params"],
    }
    shapes = {name: leaf.shape for name, leaf in flax.traverse_util.flatten_dict(tree, sep="/").items()}
    return repeat_layers(shapes, {"audio/layers_": config.audio_layers, "text/layers_": config.text_layers})


def tensor_shapes(config: StyleConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors of a style model by slash path, the tokenizer left out."""
    return tower_shapes(config) | {
        "front_end/mean": (config.mel_bands,),
        "front_end/std": (config.mel_bands,),
        "centre/audio": (config.dim,),
        "centre/text": (config.dim,),
        "quantizer/code_vectors": (config.num_levels, config.codebook_size, config.dim),
    }


def _in_batches(
    function: Callable[..., Array], arrays: tuple[np.ndarray, ...], shape: tuple[int, ...], dtype: type = np.float32
) -> np.ndarray:
    """Runs a compiled function over rows in pieces of few fixed sizes, so that it compiles once for each size."""
    rows = len(arrays[0])
    size = next((size for size in _BATCH_SIZES if rows <= size), _BATCH_SIZES[-1])
    results = [np.zeros((0, *shape), dtype)]
    for start in range(0, rows, size):
        pieces = [array[start : start + size] for array in arrays]
        missing = size - len(pieces[0])
        padded = [np.concatenate([piece, np.repeat(piece[-1:], missing, axis=0)]) for piece in pieces]
        padded = [piece.astype(np.float32) if np.issubdtype(piece.dtype, np.floating) else piece for piece in padded]
        results.append(np.asarray(function(*padded))[: size - missing])
    return np.concatenate(results)
