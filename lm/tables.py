"""From tokens to vectors and back: the embedding table and the output head, plain or factorised.

Plain is what the released models have: one learned row an id, one learned column an id. In a small model these two
tables would be most of the parameters, so the starter is trained with factorised ones: the vector of a code is a
learned map of the codec's own frozen code vector (neighbouring codes share what is learned from the first step), and
its score is the hidden vector, mapped back, times the same code vector. `materialize` multiplies the maps out once at
load, and from then on there is one kind of table.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Int

from magenta_rt_py.lm.config import MASK, NUM_SPECIAL, PAD, LMConfig

UNUSED_LOGIT = -1e9
"""Bias of ids that are no codec code, in a materialized head."""


class CodeVectors(NamedTuple):
    """Frozen code vectors, normalised per level (see `normalise_code_vectors`). Not trained, not stored with the LM."""

    codec: Float[Array, "levels codes codec_dim"]
    style: Float[Array, "style_levels codes style_dim"]


def normalise_code_vectors(
    codec: Float[np.ndarray, "levels codes codec_dim"],
    style: Float[np.ndarray, "style_levels codes style_dim"],
    config: LMConfig,
) -> CodeVectors:
    """The code vectors a factorised model is trained and materialized with.

    Args:
      codec, style: the quantizers' own vectors; at least as many levels as the model uses.
    Raises:
      ValueError: if they do not fit the configuration.
    """
    codec_features = normalise_levels(codec, config.num_levels)
    if config.code_lengths:
        codec_features = with_lengths(codec_features)
    vectors = CodeVectors(jnp.asarray(codec_features), jnp.asarray(normalise_levels(style, config.style_levels)))
    expected = _vector_shapes(config)
    if (vectors.codec.shape, vectors.style.shape) != expected:
        raise ValueError(f"got code vectors {vectors.codec.shape} and {vectors.style.shape}, expected {expected}")
    return vectors


def normalise_levels(
    vectors: Float[np.ndarray, "all_levels codes dim"], levels: int
) -> Float[np.ndarray, "levels codes dim"]:
    """The first levels, each with its mean vector subtracted and divided by its root mean square.

    Residual levels shrink; without this the fine ones would hardly be seen.
    """
    vectors = np.asarray(vectors[:levels], np.float32)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    return vectors / np.sqrt(np.square(vectors).mean(axis=(1, 2), keepdims=True) + 1e-12)


def with_lengths(vectors: Float[np.ndarray, "levels codes dim"]) -> Float[np.ndarray, "levels codes features"]:
    """One more feature a code: its squared length, centred and scaled per level.

    A code is the nearest to the true latent, so its log likelihood under a Gaussian belief about that latent is
    belief . vector - certainty * length^2 / 2 + ...: linear in the vector and its squared length. Without the length
    a confident model prefers the longest vector of the right direction, and such vectors are rare and loud.
    """
    squared = np.square(vectors).sum(-1, keepdims=True)
    squared = squared - squared.mean(axis=1, keepdims=True)
    return np.concatenate([vectors, squared / np.sqrt(np.square(squared).mean(axis=1, keepdims=True) + 1e-12)], -1)


def blank_code_vectors(config: LMConfig) -> CodeVectors:
    """Zeros of the right shape, for building parameters."""
    codec, style = _vector_shapes(config)
    return CodeVectors(jnp.zeros(codec), jnp.zeros(style))


class TokenTable(nn.Module):
    """Learned row an id, shared by encoder, temporal and depth stacks (the released form)."""

    config: LMConfig

    def setup(self) -> None:
        shape = (self.config.vocabulary_rows, self.config.dim)
        self.embedding = self.param("embedding", nn.initializers.zeros_init(), shape)

    def rows(self, tokens: Int[Array, "*batch"]) -> Float[Array, "*batch dim"]:
        """Vectors of any ids."""
        return self.embedding[tokens].astype(self.config.activation_dtype)

    def levels(self, tokens: Int[Array, "*batch levels"], vectors: CodeVectors | None) -> Float[Array, "*batch levels dim"]:
        """Vectors of codec ids, level q on column q."""
        del vectors
        return self.rows(tokens)

    def frames(self, tokens: Int[Array, "*batch levels"], vectors: CodeVectors | None) -> Float[Array, "*batch dim"]:
        """The same, summed over the levels of a frame: in float32 whatever the compute dtype, as the released model does."""
        return self.levels(tokens, vectors).astype(jnp.float32).sum(-2)

    def style(self, tokens: Int[Array, "*batch levels"], vectors: CodeVectors | None) -> Float[Array, "*batch levels dim"]:
        """Vectors of style ids, level q on column q."""
        del vectors
        return self.rows(tokens)


class FactorisedTable(nn.Module):
    """The same functions from frozen code vectors: only the maps and the rows of PAD and MASK are learned."""

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        self.special = self.param("special", nn.initializers.zeros_init(), (NUM_SPECIAL, config.dim))
        zeros = nn.initializers.zeros_init()
        self.codec_map = self.param("codec_map", zeros, (config.num_levels, config.codec_features, config.dim))
        self.style_map = self.param("style_map", zeros, (config.style_levels, config.style_code_dim, config.dim))

    def special_rows(self) -> Float[Array, "ids dim"]:
        """The rows of PAD and MASK."""
        return self.special

    def levels(self, tokens: Int[Array, "*batch levels"], vectors: CodeVectors | None) -> Float[Array, "*batch levels dim"]:
        return self._mapped(tokens, NUM_SPECIAL, _given(vectors).codec, self.codec_map)

    def frames(self, tokens: Int[Array, "*batch levels"], vectors: CodeVectors | None) -> Float[Array, "*batch dim"]:
        # One product for all levels: the sum over levels is the sum over the joined features.
        levels = tokens.shape[-1]
        looked_up = self._look_up(tokens, NUM_SPECIAL, _given(vectors).codec)
        joined = looked_up.reshape(*tokens.shape[:-1], -1)
        mapped = joined @ self.codec_map[:levels].reshape(-1, self.config.dim)
        return mapped + self._count(tokens, PAD) * self.special[PAD] + self._count(tokens, MASK) * self.special[MASK]

    def style(self, tokens: Int[Array, "*batch levels"], vectors: CodeVectors | None) -> Float[Array, "*batch levels dim"]:
        return self._mapped(tokens, self.config.style_offset, _given(vectors).style, self.style_map)

    def _mapped(self, tokens: Array, offset: int, vectors: Array, maps: Array) -> Array:
        """Vectors of ids of a family of levels, each level through its own map."""
        looked_up = self._look_up(tokens, offset, vectors)
        mapped = jnp.stack([looked_up[..., q, :] @ maps[q] for q in range(tokens.shape[-1])], axis=-2)
        special = self.special[jnp.clip(tokens, PAD, MASK)]
        return jnp.where((tokens < NUM_SPECIAL)[..., None], special, mapped)

    def _look_up(self, tokens: Array, offset: int, vectors: Array) -> Array:
        """Frozen code vectors of ids; zero for PAD and MASK."""
        columns = np.arange(tokens.shape[-1])
        codes = tokens - offset - columns * self.config.codebook_size
        found = vectors[columns, jnp.clip(codes, 0, self.config.codebook_size - 1)]
        return jnp.where((tokens < NUM_SPECIAL)[..., None], 0.0, found)

    def _count(self, tokens: Array, token: int) -> Array:
        return (tokens == token).sum(-1, keepdims=True).astype(jnp.float32)


class Head(nn.Module):
    """Logits of ids: one learned column an id, computed in float32 (the released form)."""

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        self.kernel = self.param("kernel", nn.initializers.zeros_init(), (config.dim, config.vocabulary_rows))
        if config.logits_bias:
            self.bias = self.param("bias", nn.initializers.zeros_init(), (config.vocabulary_rows,))

    def everything(self, x: Float[Array, "*batch dim"]) -> Float[Array, "*batch rows"]:
        """Logits of the whole vocabulary."""
        logits = x.astype(jnp.float32) @ self.kernel
        return logits + self.bias if self.config.logits_bias else logits

    def level(
        self, x: Float[Array, "*batch dim"], level: int | Int[Array, ""], vectors: CodeVectors | None
    ) -> Float[Array, "*batch codes"]:
        """Logits of the codes of one level."""
        del vectors
        size = self.config.codebook_size
        first = NUM_SPECIAL + level * size
        logits = x.astype(jnp.float32) @ jax.lax.dynamic_slice_in_dim(self.kernel, first, size, axis=1)
        if not self.config.logits_bias:
            return logits
        return logits + jax.lax.dynamic_slice_in_dim(self.bias, first, size)


class FactorisedHead(nn.Module):
    """Logits of codes: the hidden vector mapped into code space, times the frozen code vectors, plus a bias."""

    config: LMConfig

    def setup(self) -> None:
        config = self.config
        shape = (config.num_levels, config.dim, config.codec_features)
        self.codec_map = self.param("codec_map", nn.initializers.zeros_init(), shape)
        self.bias = self.param("bias", nn.initializers.zeros_init(), (config.num_levels, config.codebook_size))

    def level(self, x: Float[Array, "*batch dim"], level: int, vectors: CodeVectors | None) -> Float[Array, "*batch codes"]:
        """Logits of the codes of one level."""
        mapped = x.astype(jnp.float32) @ self.codec_map[level]
        return mapped @ _given(vectors).codec[level].T + self.bias[level]


def with_unigram(params: dict[str, Any], counts: Float[np.ndarray, "levels codes"]) -> dict[str, Any]:
    """Factorised parameters whose head starts from how often each code occurs, so that training starts there too.

    Args:
      params: parameters of a factorised model.
      counts: occurrences of each code; half a count is added to every code.
    """
    bias = smoothed_log_unigram(counts)
    head = params["decoder"]["logits_dense"]
    if head["bias"].shape != bias.shape:
        raise ValueError(f"got counts of shape {bias.shape}, expected {head['bias'].shape}")
    return {**params, "decoder": {**params["decoder"], "logits_dense": {**head, "bias": jnp.asarray(bias)}}}


def smoothed_log_unigram(counts: Float[np.ndarray, "levels codes"]) -> Float[np.ndarray, "levels codes"]:
    """Log probability of each code of each level, half a count added to every code."""
    smoothed = np.asarray(counts, np.float64) + 0.5
    return np.log(smoothed / smoothed.sum(axis=1, keepdims=True)).astype(np.float32)


def materialize(params: dict[str, Any], code_vectors: CodeVectors, config: LMConfig) -> dict[str, Any]:
    """Multiplies the maps out: parameters of `config.plain`, which is what all decoding runs on.

    A plain model's parameters are returned as they are.

    Args:
      params: parameters of a factorised model.
      code_vectors: the vectors it was trained with.
    Returns:
      a tree of the released form, with a bias on the head (and the clock maps, which are the same in both forms).
    """
    if not config.factorised:
        return params
    table, head = params["token_embedder"], params["decoder"]["logits_dense"]
    rows = jnp.zeros((config.vocabulary_rows, config.dim)).at[:NUM_SPECIAL].set(table["special"])
    rows = _place_rows(rows, jnp.einsum("qvc,qcd->qvd", code_vectors.codec, table["codec_map"]), NUM_SPECIAL)
    rows = _place_rows(rows, jnp.einsum("qvc,qcd->qvd", code_vectors.style, table["style_map"]), config.style_offset)
    columns = jnp.zeros((config.vocabulary_rows, config.dim))
    columns = _place_rows(columns, jnp.einsum("qdc,qvc->qvd", head["codec_map"], code_vectors.codec), NUM_SPECIAL)
    bias = jnp.full((config.vocabulary_rows, 1), UNUSED_LOGIT)
    bias = _place_rows(bias, head["bias"][..., None], NUM_SPECIAL)
    plain_head = {"kernel": columns.T, "bias": bias[:, 0]}
    return {
        **params,
        "token_embedder": {"embedding": rows},
        "decoder": {**params["decoder"], "logits_dense": plain_head},
    }


def _place_rows(rows: Array, values: Array, offset: int) -> Array:
    flat = values.reshape(-1, values.shape[-1])
    return rows.at[offset : offset + flat.shape[0]].set(flat)


def _given(vectors: CodeVectors | None) -> CodeVectors:
    if vectors is None:
        raise ValueError("a factorised model needs code_vectors: pass them, or materialize the parameters first")
    return vectors


def _vector_shapes(config: LMConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (
        (config.num_levels, config.codebook_size, config.codec_features),
        (config.style_levels, config.codebook_size, config.style_code_dim),
    )
