"""Packing: the decoder's parameters as the frame loop reads them (`lm.frame_loop`): all matrices in one array, in the order
in which they are used.

    | layer 0: query key value out, cross query, cross out, wi_0 wi_1 wo | layer 1 ... | head of level 0 | ...

    float32   matrices as they are, [in, out]
    int8      matrices turned, [out, in]: value = stored * scale of the output * scale of the input, one of them 1

A bundle's kernels that are stored as int8 come back as the very numbers that are stored, with the scales along the axis
that was chosen when they were. The head of a factorised model was multiplied out at load, so its int8 numbers are new;
docs/benchmarks.md, the frame loop, says what that costs.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int8, Int64

from magenta_rt_py.lm.averaging import AveragedLevels
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.frame_loop import LARGEST_INT8, Packed
from magenta_rt_py.lm.model import Params
from magenta_rt_py.lm.vocabulary import codec_offset

STORAGES = ("float32", "int8")

_KERNELS = (
    "self_attention/query",
    "self_attention/key",
    "self_attention/value",
    "self_attention/out",
    "encoder_decoder_attention/query",
    "encoder_decoder_attention/out",
    "mlp/wi_0",
    "mlp/wi_1",
    "mlp/wo",
)
"""In the order of `frame_loop.QUERY` and so on."""
_NORM_NAMES = ("pre_self_attention_layer_norm", "pre_cross_attention_layer_norm", "pre_mlp_layer_norm")


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
    layers = list(_layers(params, config))
    heads, bias, rows = _by_level(params, config)
    matrices = [_matrix(layer, name) for layer in layers for name in _KERNELS] + heads
    norms = [_norm(layer, name, config.dim) for layer in layers for name in _NORM_NAMES]
    norms.append(_host(params["decoder"]["decoder_norm"]["scale"]))
    blank = np.zeros((0, config.codebook_size, 1), np.float32)
    vectors = blank if averaged is None else _host(averaged.vectors)
    squared_lengths = blank[..., 0] if averaged is None else _host(averaged.squared_lengths)
    weights, scales = _joined(matrices, is_int8=storage == "int8")
    return Packed(
        weights=weights,
        scales=scales,
        places=_places(matrices),
        norms=np.stack(norms),
        head_bias=bias,
        rows=rows,
        vectors=vectors,
        vectors_by_feature=np.ascontiguousarray(vectors.transpose(0, 2, 1)),
        squared_lengths=squared_lengths.copy(),
    )


class Quantized(NamedTuple):
    """A matrix in int8, turned: value = stored * scale of its output * scale of its input."""

    stored: Int8[np.ndarray, "out in"]
    output_scales: Float32[np.ndarray, "out"]
    input_scales: Float32[np.ndarray, "in"]

    @property
    def matrix(self) -> Float32[np.ndarray, "in out"]:
        """What it stands for."""
        return self.stored.T * self.output_scales * self.input_scales[:, None]


def quantize(matrix: Float32[np.ndarray, "in out"]) -> Quantized:
    """Scales along the axis that loses less, the rule of bundles: what was stored so comes back as it was."""
    if not matrix.size:
        return Quantized(np.zeros(matrix.shape[::-1], np.int8), *(np.ones(size, np.float32) for size in matrix.shape[::-1]))
    by_output, by_input = (_rounded(matrix, axis) for axis in (0, 1))
    losses = [float(np.square(stored * scales - matrix).sum()) for stored, scales in (by_output, by_input)]
    inputs, outputs = matrix.shape
    if losses[0] <= losses[1]:
        stored, scales = by_output
        return Quantized(np.ascontiguousarray(stored.T), scales.ravel(), np.ones(inputs, np.float32))
    stored, scales = by_input
    return Quantized(np.ascontiguousarray(stored.T), np.ones(outputs, np.float32), scales.ravel())


def _rounded(
    matrix: Float32[np.ndarray, "in out"], axis: int
) -> tuple[Int8[np.ndarray, "in out"], Float32[np.ndarray, "_ _"]]:
    """int8 numbers, and their scales, shared along an axis."""
    peak = np.abs(matrix).max(axis=axis, keepdims=True)
    scales = np.where(peak > 0, peak / LARGEST_INT8, 1).astype(np.float32)
    return np.clip(np.rint(matrix / scales), -LARGEST_INT8, LARGEST_INT8).astype(np.int8), scales


def _layers(params: Params, config: LMConfig) -> Iterator[Params]:
    stacks = params["decoder"]["decoder"]
    yield from (stacks["temporal_decoder"][f"layers_{layer}"] for layer in range(config.temporal_layers))
    yield from (stacks["depth_decoder"][f"depth_layers_{layer}"] for layer in range(config.depth_layers))


def _matrix(layer: Params, name: str) -> Float32[np.ndarray, "in out"]:
    part, _, kernel = name.partition("/")
    return _host(layer[part][kernel]["kernel"]) if part in layer else np.zeros((0, 0), np.float32)


def _norm(layer: Params, name: str, dim: int) -> Float32[np.ndarray, "dim"]:
    return _host(layer[name]["scale"]) if name in layer else np.ones(dim, np.float32)


def _by_level(
    params: Params, config: LMConfig
) -> tuple[
    list[Float32[np.ndarray, "dim codes"]], Float32[np.ndarray, "levels codes"], Float32[np.ndarray, "levels codes dim"]
]:
    """Head, bias and table, of the codes of each level."""
    head = params["decoder"]["logits_dense"]
    kernel, table = _host(head["kernel"]), _host(params["token_embedder"]["embedding"])
    bias = _host(head["bias"]) if config.plain.logits_bias else np.zeros(config.vocabulary_rows, np.float32)
    first = [codec_offset(level, config) for level in range(config.num_levels)]
    own = [slice(start, start + config.codebook_size) for start in first]
    return [kernel[:, ids] for ids in own], np.stack([bias[ids] for ids in own]), np.stack([table[ids] for ids in own])


def _joined(
    matrices: list[Float32[np.ndarray, "_ _"]], *, is_int8: bool
) -> tuple[Float32[np.ndarray, "numbers"] | Int8[np.ndarray, "numbers"], Float32[np.ndarray, "scales"] | None]:
    if not is_int8:
        return np.concatenate([matrix.ravel() for matrix in matrices]), None
    stored = [quantize(matrix) for matrix in matrices]
    scales = [np.concatenate([one.output_scales, one.input_scales]) for one in stored]
    return np.concatenate([one.stored.ravel() for one in stored]), np.concatenate(scales)


def _places(matrices: list[Float32[np.ndarray, "_ _"]]) -> Int64[np.ndarray, "matrices 4"]:
    shapes = np.array([matrix.shape for matrix in matrices], np.int64)
    sizes = np.stack([shapes.prod(axis=1), shapes.sum(axis=1)], axis=1)
    return np.concatenate([np.cumsum(sizes, axis=0) - sizes, shapes], axis=1)


def _host(array: object) -> Float32[np.ndarray, "..."]:
    # A copy: for numba an array that nobody may write to, as JAX's are, is of another type.
    return np.array(array, np.float32, order="C")
