"""The compact codec's encoder and decoder: a linear map plus a causal correction.

Both nets start as principal component analysis (the `principal` map) and learn what a linear map cannot do: the
correction path reads the last frames through causal ConvNeXt blocks and starts close to zero.

Source: our own; block after ConvNeXt (Liu et al. 2022) section 2.6, made causal, with RMSNorm and SiLU.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from magenta_rt_py.codec import bands
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.nn.conv import CausalDepthwiseConv
from magenta_rt_py.nn.layers import repeat_layers

GAIN = "statistics/gain"
"""Tensor that makes up for what integrated phases change in level (phase.make_tables); learned ones take no notice."""

BlockStates = tuple[Float[Array, "batch past hidden"], ...]  # one convolution state a block


class Statistics(NamedTuple):
    """Fixed scaling of the features, measured on the training pool.

    mean, deviation: of every feature. weight: square root of the band weights, the metric of the principal components.
    """

    mean: Float[Array, "features"]
    deviation: Float[Array, "features"]
    weight: Float[Array, "features"]


def statistics(
    config: CompactCodecConfig, mean: Float[Array, "features"], deviation: Float[Array, "features"]
) -> Statistics:
    """Statistics with the weights that follow from the band layout."""
    weight = jnp.tile(jnp.sqrt(jnp.asarray(bands.band_weights(config))), config.stft_frames_per_frame * config.channels)
    return Statistics(mean, deviation, weight)


class ConvNeXtBlock(nn.Module):
    """Causal depthwise convolution, normalization and a two-layer MLP, added to the input."""

    hidden_dim: int
    mlp_ratio: int
    kernel_frames: int

    def setup(self) -> None:
        small = nn.initializers.variance_scaling(0.04, "fan_in", "normal")
        self.conv = CausalDepthwiseConv(self.hidden_dim, self.kernel_frames)
        self.norm_scale = self.param("norm_scale", nn.initializers.ones, (self.hidden_dim,))
        self.expand = nn.Dense(self.mlp_ratio * self.hidden_dim)
        self.contract = nn.Dense(self.hidden_dim, use_bias=False, kernel_init=small)

    def step(
        self,
        state: Float[Array, "batch past hidden"],
        inputs: Float[Array, "batch frames hidden"],
        valid_frames: Int[Array, ""] | int | None = None,
    ) -> tuple[Float[Array, "batch past hidden"], Float[Array, "batch frames hidden"]]:
        """The next frames; `valid_frames` as in CausalDepthwiseConv.step."""
        state, hidden = self.conv.step(state, inputs, valid_frames)
        hidden = hidden * jax.lax.rsqrt((hidden**2).mean(-1, keepdims=True) + 1e-6) * self.norm_scale
        return state, inputs + self.contract(nn.silu(self.expand(hidden)))


def _blocks(config: CompactCodecConfig, count: int) -> list[ConvNeXtBlock]:
    return [ConvNeXtBlock(config.hidden_dim, config.mlp_ratio, config.kernel_frames) for _ in range(count)]


def _init_states(config: CompactCodecConfig, count: int, batch: int) -> BlockStates:
    return tuple(jnp.zeros((batch, config.kernel_frames - 1, config.hidden_dim)) for _ in range(count))


def step_blocks(
    blocks: Sequence[ConvNeXtBlock],
    state: BlockStates,
    hidden: Float[Array, "batch frames hidden"],
    valid_frames: Int[Array, ""] | int | None = None,
) -> tuple[BlockStates, Float[Array, "batch frames hidden"]]:
    """The next frames through one block after the other; `valid_frames` as in CausalDepthwiseConv.step."""
    states = []
    for block, block_state in zip(blocks, state, strict=True):
        block_state, hidden = block.step(block_state, hidden, valid_frames)
        states.append(block_state)
    return tuple(states), hidden


class Encoder(nn.Module):
    """Features of a codec frame to its latents; 25 frames a second."""

    config: CompactCodecConfig

    def setup(self) -> None:
        dim = self.config.latent_dim
        self.input_map = nn.Dense(self.config.hidden_dim, use_bias=False)
        self.blocks = _blocks(self.config, self.config.encoder_blocks)
        self.correction = nn.Dense(
            dim, use_bias=False, kernel_init=nn.initializers.variance_scaling(4e-4, "fan_in", "normal")
        )
        self.principal = nn.Dense(dim, use_bias=False)

    def init_state(self, batch: int) -> BlockStates:
        """State before the first frame."""
        return _init_states(self.config, self.config.encoder_blocks, batch)

    def step(
        self,
        state: BlockStates,
        features: Float[Array, "batch frames features"],
        scaling: Statistics,
        valid_frames: Int[Array, ""] | int | None = None,
    ) -> tuple[BlockStates, Float[Array, "batch frames dim"]]:
        """Latents of the next frames; `valid_frames` as in CausalDepthwiseConv.step."""
        centred = features - scaling.mean
        hidden = self.input_map(centred / scaling.deviation)
        states, hidden = step_blocks(self.blocks, state, hidden, valid_frames)
        return states, self.principal(centred * scaling.weight) + self.correction(hidden)

    def __call__(
        self, features: Float[Array, "batch frames features"], scaling: Statistics
    ) -> Float[Array, "batch frames dim"]:
        """Latents of a whole sequence."""
        return self.step(self.init_state(features.shape[0]), features, scaling)[1]


class Decoder(nn.Module):
    """Quantized latents to the features of each codec frame."""

    config: CompactCodecConfig

    def setup(self) -> None:
        dim = bands.feature_dim(self.config)
        self.input_map = nn.Dense(self.config.hidden_dim, use_bias=False)
        self.blocks = _blocks(self.config, self.config.decoder_blocks)
        self.correction = nn.Dense(dim, kernel_init=nn.initializers.variance_scaling(4e-4, "fan_in", "normal"))
        self.principal = nn.Dense(dim, use_bias=False)

    def init_state(self, batch: int) -> BlockStates:
        """State before the first frame."""
        return _init_states(self.config, self.config.decoder_blocks, batch)

    def step(
        self,
        state: BlockStates,
        quantized: Float[Array, "batch frames dim"],
        scaling: Statistics,
        valid_frames: Int[Array, ""] | int | None = None,
    ) -> tuple[BlockStates, Float[Array, "batch frames features"]]:
        """Features of the next frames; `valid_frames` as in CausalDepthwiseConv.step."""
        hidden = self.input_map(quantized)
        states, hidden = step_blocks(self.blocks, state, hidden, valid_frames)
        features = (
            self.principal(quantized) / scaling.weight + self.correction(hidden) * scaling.deviation + scaling.mean
        )
        return states, features

    def __call__(
        self, quantized: Float[Array, "batch frames dim"], scaling: Statistics
    ) -> Float[Array, "batch frames features"]:
        """Features of a whole sequence."""
        return self.step(self.init_state(quantized.shape[0]), quantized, scaling)[1]


def flatten(params: dict, prefix: str) -> dict[str, np.ndarray]:
    """Parameters of one net as flat tensors, named by slash path below `prefix`."""
    return {
        f"{prefix}/{path}": np.asarray(value)
        for path, value in flax.traverse_util.flatten_dict(params, sep="/").items()
    }


def unflatten(tensors: Mapping[str, np.ndarray], prefix: str) -> dict:
    """The inverse of `flatten`; tensors outside `prefix` are left alone."""
    inside = {
        path.removeprefix(f"{prefix}/"): jnp.asarray(value)
        for path, value in tensors.items()
        if path.startswith(f"{prefix}/")
    }
    return flax.traverse_util.unflatten_dict(inside, sep="/")


def tensor_shapes(config: CompactCodecConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of a compact codec."""
    features, dim = bands.feature_dim(config), config.latent_dim
    one_block = dataclasses.replace(config, encoder_blocks=1, decoder_blocks=1)
    scaling = statistics(config, jnp.zeros(features), jnp.ones(features))

    def init() -> dict:
        key = jax.random.key(0)
        encoder = Encoder(one_block).init(key, jnp.zeros((1, 1, features)), scaling)["params"]
        decoder = Decoder(one_block).init(key, jnp.zeros((1, 1, dim)), scaling)["params"]
        return {"encoder": encoder, "decoder": decoder}

    nets = flax.traverse_util.flatten_dict(jax.eval_shape(init), sep="/")
    shapes = {name: value.shape for name, value in nets.items()}
    counts = {"encoder/blocks_": config.encoder_blocks, "decoder/blocks_": config.decoder_blocks}
    return repeat_layers(shapes, counts) | {
        "quantizer/codebooks": (config.num_levels, config.codebook_size, dim),
        "statistics/mean": (features,),
        "statistics/deviation": (features,),
        GAIN: (bands.band_count(config),),
    }
