"""What a request costs, counted from the configuration: numbers read and multiply-adds. Runs nothing.

Counted is what the model needs, not what a program happens to do: every weight once each time a step uses it, every key
and value that attention looks at, every multiply-add of a matrix product. Not counted: norms, activations, softmax,
sampling, and what is read a row at a time (embeddings).

    encoder, cross     once a request
    temporal           once a frame
    depth, heads       once a level: a drawn one with all guidance rows, an averaged one with the condition's alone
    averaging          once an averaged level
"""

from __future__ import annotations

from typing import NamedTuple

from magenta_rt_py.lm.clock import NUM_FEATURES
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.refinement import RefinementConfig

GUIDANCE_ROWS = 2
"""Rows of a request with guidance: the condition, and the masked one."""


class Cost(NamedTuple):
    """Of one part of the model, in one request."""

    weights: int
    """Numbers in the weights that the part uses."""
    passes: int
    """How often they are read: once for all rows and streams that go together."""
    moved: int
    """Other numbers read and written: keys and values, or a convolution's inputs and outputs."""
    multiply_adds: int
    """Of all rows and streams."""

    def bytes(self, weight_bytes: int, moved_bytes: int) -> int:
        """Bytes to and from memory, if nothing stays on the chip from one pass to the next."""
        return self.weights * self.passes * weight_bytes + self.moved * moved_bytes

    def bytes_on_chip(self, weight_bytes: int, moved_bytes: int) -> int:
        """The same if the weights stay on the chip for the whole request."""
        return self.weights * weight_bytes + self.moved * moved_bytes

    def times(self, count: int) -> Cost:
        """`count` of it at once, on the same weights."""
        return self._replace(moved=self.moved * count, multiply_adds=self.multiply_adds * count)


def lm_costs(
    config: LMConfig, frames: int, *, rows: int = GUIDANCE_ROWS, streams: int = 1, code_dim: int = 0
) -> dict[str, Cost]:
    """Costs of the language model's parts in one request; "averaging" is among them if levels are averaged.

    Args:
      config: of a plain (materialized) model.
      frames: that the request makes.
      rows: variants that guidance compares, 1 to 3.
      streams: in one batch.
      code_dim: features of the codec's code vectors, for a model that averages levels.
    Raises:
      ValueError: levels are averaged, and code_dim is missing.
    """
    if config.averaged_levels and code_dim < 1:
        raise ValueError(f"got code_dim {code_dim}, but {config.averaged_levels} levels are averaged: give the codec's")
    at_all_levels = config.drawn_levels * rows + config.averaged_levels
    costs = {
        "encoder": _encoder(config).times(rows),
        "cross": _cross(config).times(rows),
        "temporal": _temporal(config, frames).times(rows),
        "depth": _depth(config, frames, at_all_levels),
        "heads": _heads(config, frames, at_all_levels),
    }
    if config.averaged_levels:
        costs["averaging"] = _averaging(config, frames, code_dim)
    return {name: cost.times(streams) for name, cost in costs.items()}


def refinement_cost(config: RefinementConfig, frames: int, *, streams: int = 1) -> Cost:
    """Cost of the refinement model in one request; it has one row and makes all frames at once."""
    width, code, inner = config.width, config.codec_code_dim, config.mlp_ratio * config.width
    taps = config.kernel_frames * width
    maps = (config.coarse_levels + config.num_levels - 1) * code * width
    trunk = config.blocks * (2 * width * inner + taps)
    nets = config.fine_levels * (width * width + width * code + code * config.codebook_size)
    biases = config.blocks * (inner + 2 * width) + width + config.fine_levels * config.codebook_size
    return Cost(maps + trunk + nets + biases, 1, 0, frames * (maps + trunk + nets)).times(streams)


def _attention(config: LMConfig) -> tuple[int, int, int]:
    """Weights of one projection, of the gated MLP, and features of all heads."""
    inner = config.num_heads * config.head_dim
    return config.dim * inner, 3 * config.dim * config.mlp_dim, inner


def _encoder(config: LMConfig) -> Cost:
    projection, mlp, inner = _attention(config)
    positions = config.encoder_positions
    weights = config.encoder_layers * (4 * projection + mlp + 2 * config.dim) + config.dim
    clock = NUM_FEATURES * config.dim if config.clock else 0
    scores = 2 * positions * positions * inner
    multiply_adds = config.encoder_layers * (positions * (4 * projection + mlp) + scores)
    return Cost(weights + clock, 1, 0, multiply_adds + config.context_frames * clock)


def _cross(config: LMConfig) -> Cost:
    projection, _, inner = _attention(config)
    positions, layers = config.encoder_positions, config.temporal_layers
    return Cost(2 * layers * projection, 1, 2 * layers * positions * inner, 2 * layers * positions * projection)


def _temporal(config: LMConfig, frames: int) -> Cost:
    projection, mlp, inner = _attention(config)
    layers, keys = config.temporal_layers, frames + config.encoder_positions
    weights = layers * (6 * projection + mlp + 3 * config.dim) + config.num_heads * config.temporal_buckets
    each_frame = layers * (6 * projection + mlp + 2 * keys * inner)
    if config.clock:
        weights += NUM_FEATURES * config.dim
        each_frame += NUM_FEATURES * config.dim
    once = 0
    if config.bar_recall:
        weights += config.dim**2
        each_frame += config.dim**2
    if config.style_at_every_frame:
        weights += config.dim**2
        once = config.dim**2
    return Cost(weights, frames, frames * layers * 2 * keys * inner, frames * each_frame + once)


def _depth(config: LMConfig, frames: int, rows: int) -> Cost:
    """`rows`: of all levels of a frame together."""
    projection, mlp, inner = _attention(config)
    layers, levels = config.depth_layers, config.num_levels
    weights = layers * (4 * projection + mlp + 2 * config.dim) + config.dim + config.num_heads * config.depth_buckets
    keys = 2 * levels * inner * layers
    return Cost(weights, frames * levels, frames * rows * keys, frames * rows * (layers * (4 * projection + mlp) + keys))


def _heads(config: LMConfig, frames: int, rows: int) -> Cost:
    """`rows`: of all levels of a frame together."""
    columns = config.num_levels * config.codebook_size
    biases = columns if config.plain.logits_bias else 0
    # All levels' columns together are read once a frame: each level reads its own part.
    return Cost(columns * config.dim + biases, frames, 0, frames * rows * config.codebook_size * config.dim)


def _averaging(config: LMConfig, frames: int, code_dim: int) -> Cost:
    codes = config.averaged_levels * config.codebook_size
    # A level's vectors are read for the mean, and again for the distances to it.
    return Cost(codes * (code_dim + 1), 2 * frames, 0, 2 * frames * codes * code_dim)
