"""The refinement model: fills in the fine levels of frames whose coarse levels are known.

    coarse codes, 18 frames back to now -> causal trunk -> hidden, one vector a frame
    level 4, 5, ... 15 in turn:  hidden + map(code vectors of the levels below) -> level's own small net -> draw

The trunk sees coarse codes only, so all frames of a request are refined at once and what one frame's fine levels turn
out to be touches no other frame.
Source: Live Music Models, appendix D.4 (a very small network that fills the finer levels autoregressively); its shape
is ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Float, Int, PRNGKeyArray

from magenta_rt_py.lm.initialise import draw, fill, refinement_deviation
from magenta_rt_py.lm.sampling import GREEDY_TEMPERATURE
from magenta_rt_py.lm.tables import smoothed_log_unigram
from magenta_rt_py.nn.conv import CausalDepthwiseConv
from magenta_rt_py.nn.cores import ONE_CORE
from magenta_rt_py.nn.norms import RMSNorm
from magenta_rt_py.nn.streaming import step_streams

Params = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RefinementConfig:
    """Sizes of the refinement model (all ours)."""

    coarse_levels: int = 4  # levels given
    num_levels: int = 16  # levels in all
    codebook_size: int = 1024  # codes a level
    codec_code_dim: int = 96  # features of a codec code vector
    width: int = 192  # features of the trunk and of each level's net
    mlp_ratio: int = 2  # inner features of a trunk block / width
    blocks: int = 3  # trunk blocks
    kernel_frames: int = 7  # taps of each block's convolution

    def __post_init__(self) -> None:
        if not 0 < self.coarse_levels < self.num_levels:
            raise ValueError(f"got {self.coarse_levels} coarse of {self.num_levels} levels, expected fewer, but some")

    @property
    def fine_levels(self) -> int:
        """Levels filled in."""
        return self.num_levels - self.coarse_levels

    @property
    def past_frames(self) -> int:
        """Frames before a frame that can change it."""
        return self.blocks * (self.kernel_frames - 1)


class RefinementState(NamedTuple):
    """What the next frames need of the ones before."""

    tails: tuple[Float[Array, "batch past width"], ...]  # last inputs of each block's convolution
    frame: Int[Array, ""]  # frames done, so that draws do not depend on how a stream is cut


class Block(nn.Module):
    """x += mlp(norm(conv(x)))."""

    config: RefinementConfig

    def setup(self) -> None:
        config = self.config
        inner = config.mlp_ratio * config.width
        self.conv = CausalDepthwiseConv(config.width, config.kernel_frames)
        self.norm = RMSNorm()
        self.wi = nn.Dense(inner, kernel_init=nn.initializers.zeros_init())
        self.wo = nn.Dense(config.width, kernel_init=nn.initializers.zeros_init())

    def step(
        self, tail: Float[Array, "batch past width"], x: Float[Array, "batch frames width"]
    ) -> tuple[Float[Array, "batch past width"], Float[Array, "batch frames width"]]:
        """The next frames."""
        tail, mixed = self.conv.step(tail, x)
        return tail, x + self.wo(nn.gelu(self.wi(self.norm(mixed))))


class RefinementModel(nn.Module):
    """Trunk and level nets; code vectors are frozen and given with every call."""

    config: RefinementConfig

    def setup(self) -> None:
        config = self.config
        code, width, fine = config.codec_code_dim, config.width, config.fine_levels
        zeros = nn.initializers.zeros_init()
        self.coarse_map = self.param("coarse_map", zeros, (config.coarse_levels, code, width))
        # Levels 0..14: the last one is below no level.
        self.below_map = self.param("below_map", zeros, (config.num_levels - 1, code, width))
        self.blocks = [Block(config) for _ in range(config.blocks)]
        self.norm = RMSNorm()
        self.wi = self.param("wi", zeros, (fine, width, width))
        self.out_map = self.param("out_map", zeros, (fine, width, code))
        self.bias = self.param("bias", zeros, (fine, config.codebook_size))

    def trunk(
        self,
        tails: tuple[Float[Array, "batch past width"], ...],
        codes: Int[Array, "batch frames coarse"],
        vectors: Float[Array, "levels codes dim"],
    ) -> tuple[tuple[Float[Array, "batch past width"], ...], Float[Array, "batch frames width"]]:
        """One hidden vector a frame from coarse codes."""
        x = sum(vectors[q][codes[..., q]] @ self.coarse_map[q] for q in range(self.config.coarse_levels))
        new_tails = []
        for block, tail in zip(self.blocks, tails, strict=True):
            tail, x = block.step(tail, x)
            new_tails.append(tail)
        return tuple(new_tails), x

    def below(
        self, codes: Int[Array, "*batch"], level: int, vectors: Float[Array, "levels codes dim"]
    ) -> Float[Array, "*batch width"]:
        """What one known level adds to the input of every level above it."""
        return vectors[level][codes] @ self.below_map[level]

    def level_logits(
        self, x: Float[Array, "*batch width"], level: int, vectors: Float[Array, "levels codes dim"]
    ) -> Float[Array, "*batch codes"]:
        """Logits of one fine level from the trunk plus what is known below it."""
        fine = level - self.config.coarse_levels
        hidden = nn.gelu(self.norm(x) @ self.wi[fine])
        return hidden @ self.out_map[fine] @ vectors[level].T + self.bias[fine]

    def __call__(
        self,
        codes: Int[Array, "batch frames levels"],
        vectors: Float[Array, "levels codes dim"],
        levels: Int[Array, "chosen_levels"],
        frames: Int[Array, "chosen"] | None,
    ) -> Float[Array, "batch chosen chosen_levels codes"]:
        """Logits of chosen levels on chosen frames, every level below known (teacher forcing)."""
        config = self.config
        tails = _empty_tails(config, codes.shape[0])
        _, hidden = self.trunk(tails, codes[..., : config.coarse_levels], vectors)
        if frames is not None:
            hidden, codes = hidden[:, frames], codes[:, frames]
        known = jnp.stack([self.below(codes[..., q], q, vectors) for q in range(config.num_levels - 1)], axis=2)
        x = hidden[:, :, None] + jnp.cumsum(known, axis=2)[:, :, levels - 1]
        fine = levels - config.coarse_levels
        inner = nn.gelu(jnp.einsum("bnlw,lwh->bnlh", self.norm(x), self.wi[fine]))
        mapped = jnp.einsum("bnlh,lhc->bnlc", inner, self.out_map[fine])
        return jnp.einsum("bnlc,lvc->bnlv", mapped, vectors[levels]) + self.bias[fine]


def init(key: PRNGKeyArray | Array, config: RefinementConfig) -> Params:
    """Fresh parameters."""
    return draw(key, parameter_shapes(config), refinement_deviation)


def parameter_shapes(config: RefinementConfig) -> dict[str, tuple[int, ...]]:
    """Slash path and shape of every parameter; allocates nothing."""
    codes = jnp.zeros((1, 1, config.num_levels), jnp.int32)
    vectors = jnp.zeros((config.num_levels, config.codebook_size, config.codec_code_dim))
    levels = jnp.arange(config.coarse_levels, config.num_levels)
    tree = jax.eval_shape(RefinementModel(config).init, jax.random.key(0), codes, vectors, levels, None)["params"]
    return {path: leaf.shape for path, leaf in flatten_dict(tree, sep="/").items()}


def load(flat: Mapping[str, Array | np.ndarray], config: RefinementConfig) -> Params:
    """Parameters from slash path to array; refuses what does not fit, see `initialise.fill`."""
    return fill(flat, parameter_shapes(config))


def with_unigram(params: Params, counts: Float[np.ndarray, "levels codes"]) -> Params:
    """Parameters whose heads start from how often each code of each level (all levels given) occurs."""
    fine, codes = params["bias"].shape
    if counts.shape[0] < fine or counts.shape[1] != codes:
        raise ValueError(f"got counts of shape {counts.shape}, expected all levels x {codes}")
    return {**params, "bias": jnp.asarray(smoothed_log_unigram(counts[-fine:]))}


def refine_logits(
    params: Params,
    config: RefinementConfig,
    codes: Int[Array, "batch frames levels"],
    code_vectors: Float[Array, "levels codes dim"],
    *,
    levels: Int[Array, "chosen_levels"] | None = None,
    frames: Int[Array, "chosen"] | None = None,
) -> Float[Array, "batch chosen chosen_levels codes"]:
    """Logits for training, on a subset of levels and frames if wanted.

    Args:
      codes: all levels of consecutive frames; the first `past_frames` lack part of their past.
      code_vectors: normalised vectors of all levels (`tables.normalise_levels`).
      levels: fine levels to score, `coarse_levels`..`num_levels` - 1; None is all of them.
      frames: frames to score; None is all of them.
    """
    if levels is None:
        levels = jnp.arange(config.coarse_levels, config.num_levels)
    return RefinementModel(config).apply({"params": params}, codes, code_vectors, levels, frames)


def init_state(config: RefinementConfig, batch: int = 1) -> RefinementState:
    """State before the first frame."""
    return RefinementState(_empty_tails(config, batch), jnp.zeros((), jnp.int32))


def _refine(
    params: Params,
    config: RefinementConfig,
    code_vectors: Float[Array, "levels codes dim"],
    state: RefinementState,
    coarse_codes: Int[Array, "batch frames coarse"],
    key: PRNGKeyArray | Array,
    temperature: Float[Array, ""] | float = 1.0,
) -> tuple[RefinementState, Int[Array, "batch frames levels"]]:
    """Fills in the fine levels of the next frames of a stream, drawing level by level.

    Args:
      coarse_codes: the next frames; any number, but each number compiles once.
      key: of the whole stream: every frame and level draws from its own part of it, so pieces equal the whole.
      temperature: 0 takes the likeliest code; may be traced.
    Returns:
      the next state, and all levels (the coarse ones as given).
    """
    model, variables = RefinementModel(config), {"params": params}
    batch, frames, _ = coarse_codes.shape
    tails, x = model.apply(variables, state.tails, coarse_codes, code_vectors, method="trunk")
    numbers = state.frame + jnp.arange(frames)
    frame_keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)
    levels = [coarse_codes[..., q] for q in range(config.coarse_levels)]
    for level in range(config.num_levels):
        if level >= config.coarse_levels:
            scores = model.apply(variables, x, level, code_vectors, method="level_logits")
            levels.append(_draw(frame_keys, level, scores, temperature))
        if level < config.num_levels - 1:
            x = x + model.apply(variables, levels[level], level, code_vectors, method="below")
    return RefinementState(tails, state.frame + frames), jnp.stack(levels, axis=-1)


refine = jax.jit(_refine, static_argnames=("config",), compiler_options=ONE_CORE)


@partial(jax.jit, static_argnames=("config",), compiler_options=ONE_CORE)
def refine_batch(
    params: Params,
    config: RefinementConfig,
    code_vectors: Float[Array, "levels codes dim"],
    states: tuple[RefinementState, ...],
    coarse_codes: Int[Array, "streams batch frames coarse"],
    keys: PRNGKeyArray | Array,
    temperatures: Float[Array, "streams"],
) -> tuple[tuple[RefinementState, ...], Int[Array, "streams batch frames levels"]]:
    """`refine` for several streams, each at a point of its own, with its own key and temperature."""
    return step_streams(partial(_refine, params, config, code_vectors), states, coarse_codes, keys, temperatures)


def _draw(
    frame_keys: PRNGKeyArray | Array,
    level: int,
    logits: Float[Array, "batch frames codes"],
    temperature: Float[Array, ""] | float,
) -> Int[Array, "batch frames"]:
    batch, _, codes = logits.shape

    def noise(key: Array) -> Array:
        return jax.random.gumbel(jax.random.fold_in(key, level), (batch, codes))

    scaled = logits / jnp.maximum(temperature, GREEDY_TEMPERATURE)
    noisy = scaled + jax.vmap(noise)(frame_keys).swapaxes(0, 1)
    return jnp.argmax(jnp.where(temperature <= GREEDY_TEMPERATURE, scaled, noisy), axis=-1).astype(jnp.int32)


def _empty_tails(config: RefinementConfig, batch: int) -> tuple[Float[Array, "batch past width"], ...]:
    return (jnp.zeros((batch, config.kernel_frames - 1, config.width)),) * config.blocks
