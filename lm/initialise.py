"""Filling the parameter tree: from given arrays, or with values to start training from.

Starting values are drawn by NumPy: nothing to compile, and the same on every machine.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, PRNGKeyArray

from magenta_rt_py.lm.config import LMConfig

HEAD_SCALE = 0.02
"""Standard deviation of a factorised head's logits: the unigram bias must speak first (measured: 0.3 starts above the
loss of a uniform guess)."""


def draw(
    key: PRNGKeyArray | Array,
    shapes: Mapping[str, tuple[int, ...]],
    deviation: Callable[[str, tuple[int, ...]], float],
) -> dict[str, Any]:
    """Normal values of the given deviation for each slash path; norm scales are 1."""
    words = key if jnp.issubdtype(key.dtype, jnp.integer) else jax.random.key_data(key)
    generator = np.random.default_rng(np.asarray(words).ravel().tolist())
    flat = {}
    for path in sorted(shapes):
        if path.endswith("scale"):
            flat[path] = jnp.ones(shapes[path])
            continue
        values = generator.standard_normal(shapes[path], np.float32) * np.float32(deviation(path, shapes[path]))
        flat[path] = jnp.asarray(values)
    return unflatten_dict(flat, sep="/")


def fill(flat: Mapping[str, Array | np.ndarray], expected: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The tree of given arrays.

    Args:
      flat: slash path to array.
      expected: slash path to shape.
    Raises:
      ValueError: naming what is missing, what is too much, and what has the wrong shape.
    """
    problems = [f"missing {path} {shape}" for path, shape in expected.items() if path not in flat]
    problems += [f"not expected: {path}" for path in flat if path not in expected]
    problems += [
        f"{path} has shape {tuple(flat[path].shape)}, expected {shape}"
        for path, shape in expected.items()
        if path in flat and tuple(flat[path].shape) != shape
    ]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise ValueError(f"these parameters are not of this configuration: {shown}")
    return unflatten_dict({path: jnp.asarray(array) for path, array in flat.items()}, sep="/")


def lm_deviation(config: LMConfig) -> Callable[[str, tuple[int, ...]], float]:
    """Standard deviation of each parameter of a language model.

    Query kernels carry the 1 / sqrt(head_dim) that attention leaves out (T5). What a sublayer adds to its residual
    stream is scaled by 1 / sqrt(2 * layers), so that the sum over a stack stays of order one (ours).
    """
    layers = {
        "encoder": config.encoder_layers,
        "temporal_decoder": config.temporal_layers,
        "depth_decoder": config.depth_layers,
    }

    def deviation(path: str, shape: tuple[int, ...]) -> float:
        names = path.split("/")
        if {"clock", "bar_recall", "style_input"} & set(names) or path.endswith("bias"):
            return 0.0
        if names[-1] == "rel_embedding":
            return 0.1
        if path.startswith("token_embedder"):
            # Code vectors have root mean square 1, so every embedding starts with root mean square 1.
            return 1.0 / math.sqrt(shape[1]) if names[-1].endswith("_map") else 1.0
        if path.endswith("logits_dense/codec_map"):
            return HEAD_SCALE / math.sqrt(shape[1] * shape[2])
        fan_in = 1.0 / math.sqrt(shape[0])
        if names[-2] == "query":
            return fan_in / math.sqrt(config.head_dim)
        if names[-2] in ("out", "wo"):
            stack = next(name for name in names if name in layers)
            return fan_in / math.sqrt(2.0 * layers[stack])
        return fan_in

    return deviation


def refinement_deviation(path: str, shape: tuple[int, ...]) -> float:
    """Standard deviation of each parameter of the refinement model."""
    name = path.split("/")[-1]
    if name == "bias":
        return 0.0
    if "conv" in path:
        return 0.3
    if path == "out_map":
        return HEAD_SCALE / math.sqrt(shape[1] * shape[2])
    if name.endswith("_map"):
        return 0.5 / math.sqrt(shape[1])
    if "wo" in path:
        return 0.4 / math.sqrt(shape[-2])
    return 1.0 / math.sqrt(shape[-2])
