"""Packing: the decoder's parameters in the order in which the frame loop reads them (`lm.frame_loop`).

    float32   kernels as they are, [in, out]
    int8      kernels turned, [out, in], with one scale an output: value = stored * scale

A bundle's kernels that are stored as int8 with a scale a column come back as the very numbers that are stored. The head
of a factorised model was multiplied out at load, so its int8 numbers are new: docs/benchmarks.md, the frame loop, says
what that costs.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int8

from magenta_rt_py.lm.averaging import AveragedLevels
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.model import Params
from magenta_rt_py.lm.vocabulary import codec_offset

STORAGES = ("float32", "int8")
LARGEST = 127
"""Of an int8 number, either sign."""


class Dense(NamedTuple):
    """Kernels of one kind, of all layers of a stack (or of all levels)."""

    weights: Float32[np.ndarray, "layers in out"] | Int8[np.ndarray, "layers out in"]
    scales: Float32[np.ndarray, "layers out"] | None  # None: float32


class Block(NamedTuple):
    """What the layers of both stacks have: self-attention and gated MLP."""

    attention_norm: Float32[np.ndarray, "layers dim"]
    attention_in: Dense  # query, key and value side by side
    attention_out: Dense
    mlp_norm: Float32[np.ndarray, "layers dim"]
    gates: Dense  # wi_0 and wi_1 side by side
    mlp_out: Dense


class Cross(NamedTuple):
    """Cross-attention of the temporal stack; keys and values are made once a request, elsewhere."""

    norm: Float32[np.ndarray, "layers dim"]
    query: Dense
    out: Dense


class Averaging(NamedTuple):
    """Code vectors of the averaged levels, along both axes; no levels if all are drawn."""

    vectors: Float32[np.ndarray, "averaged codes features"]
    by_feature: Float32[np.ndarray, "averaged features codes"]
    squared_lengths: Float32[np.ndarray, "averaged codes"]


class Packed(NamedTuple):
    """All that the frame loop reads of a model. Arrays of the host, in C order."""

    temporal: Block
    cross: Cross
    depth: Block
    final_norm: Float32[np.ndarray, "dim"]
    head: Dense  # a level where a stack has a layer
    head_bias: Float32[np.ndarray, "levels codes"]
    rows: Float32[np.ndarray, "levels codes dim"]
    averaging: Averaging


def pack(params: Params, config: LMConfig, averaged: AveragedLevels | None, *, storage: str = "float32") -> Packed:
    """The decoder's parameters for `lm.frame_loop`.

    Args:
      params: plain parameters, as `decode.generate` takes them.
      averaged: `averaging.averaged_levels` of the codec; None if the configuration averages none.
      storage: "float32", or "int8": a quarter of the memory to be read a frame.
    Raises:
      ValueError: another storage.
    """
    if storage not in STORAGES:
        raise ValueError(f"got storage {storage!r}, expected one of {', '.join(STORAGES)}")
    is_int8 = storage == "int8"
    stacks = params["decoder"]["decoder"]
    temporal = [stacks["temporal_decoder"][f"layers_{layer}"] for layer in range(config.temporal_layers)]
    depth = [stacks["depth_decoder"][f"depth_layers_{layer}"] for layer in range(config.depth_layers)]
    head, size = params["decoder"]["logits_dense"], config.codebook_size
    first = [codec_offset(level, config) for level in range(config.num_levels)]
    bias = _host(head["bias"]) if config.plain.logits_bias else np.zeros(config.vocabulary_rows, np.float32)
    kernel, table = _host(head["kernel"]), _host(params["token_embedder"]["embedding"])
    return Packed(
        temporal=_block(temporal, is_int8),
        cross=Cross(
            _scales_of_norms(temporal, "pre_cross_attention_layer_norm"),
            _dense([[layer["encoder_decoder_attention"]["query"]["kernel"]] for layer in temporal], is_int8),
            _dense([[layer["encoder_decoder_attention"]["out"]["kernel"]] for layer in temporal], is_int8),
        ),
        depth=_block(depth, is_int8),
        final_norm=_host(params["decoder"]["decoder_norm"]["scale"]),
        head=_dense([[kernel[:, start : start + size]] for start in first], is_int8),
        head_bias=np.stack([bias[start : start + size] for start in first]),
        rows=np.stack([table[start : start + size] for start in first]),
        averaging=_averaging(averaged, size),
    )


def quantize(kernel: Float32[np.ndarray, "in out"]) -> tuple[Int8[np.ndarray, "out in"], Float32[np.ndarray, "out"]]:
    """A kernel turned and in int8, and the scale of each output; the rule by which bundles store columns."""
    peak = np.abs(kernel).max(axis=0)
    scales = np.where(peak > 0, peak / LARGEST, 1).astype(np.float32)
    stored = np.clip(np.rint(kernel / scales), -LARGEST, LARGEST).astype(np.int8)
    return np.ascontiguousarray(stored.T), scales


def _block(layers: list[Params], is_int8: bool) -> Block:
    attention = [layer["self_attention"] for layer in layers]
    mlp = [layer["mlp"] for layer in layers]
    return Block(
        attention_norm=_scales_of_norms(layers, "pre_self_attention_layer_norm"),
        attention_in=_dense([[one[name]["kernel"] for name in ("query", "key", "value")] for one in attention], is_int8),
        attention_out=_dense([[one["out"]["kernel"]] for one in attention], is_int8),
        mlp_norm=_scales_of_norms(layers, "pre_mlp_layer_norm"),
        gates=_dense([[one[name]["kernel"] for name in ("wi_0", "wi_1")] for one in mlp], is_int8),
        mlp_out=_dense([[one["wo"]["kernel"]] for one in mlp], is_int8),
    )


def _dense(kernels: list[list], is_int8: bool) -> Dense:
    """Kernels by layer, and within a layer those that read the same input."""
    joined = [np.concatenate([_host(kernel) for kernel in layer], axis=1) for layer in kernels]
    if not is_int8:
        return Dense(np.stack(joined), None)
    stored, scales = zip(*map(quantize, joined))
    return Dense(np.stack(stored), np.stack(scales))


def _averaging(averaged: AveragedLevels | None, codes: int) -> Averaging:
    if averaged is None:
        blank = np.zeros((0, codes, 1), np.float32)
        return Averaging(blank, blank.transpose(0, 2, 1).copy(), blank[..., 0].copy())
    vectors = _host(averaged.vectors)
    return Averaging(vectors, np.ascontiguousarray(vectors.transpose(0, 2, 1)), _host(averaged.squared_lengths))


def _scales_of_norms(layers: list[Params], name: str) -> Float32[np.ndarray, "layers dim"]:
    return np.stack([_host(layer[name]["scale"]) for layer in layers])


def _host(array: object) -> np.ndarray:
    # A copy: numba takes no array that JAX lets nobody write to for the same type as others, and would compile twice.
    return np.array(array, np.float32, order="C")
