"""What a training run needs of each device, from shapes alone: nothing is allocated and nothing is compiled.

Weights, optimiser state, average, gradients and frozen weights are exact: the leaves of `jax.eval_shape` of the state,
divided as `train.sharding` divides them. Activations are counted by formula, from what the layers keep and from the
inside of the largest layer. Tests hold gradients and activations at a small size against two counts of the real step,
and expect 1 to 1.7 times as much, because the most of both is added though it is not reached at the same time: what is
alive at once in the traced gradient, and, where layers are kept, the compiler's own figure (on a CPU, whose compiler
undoes rematerialisation). Compilers add some padding and fragmentation, and a GPU or TPU runtime keeps some hundred
megabytes of its own.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from magenta_rt_py.lm import adapters
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.train.finetune.config import FinetuneConfig
from magenta_rt_py.train.loop import TrainState, create_state
from magenta_rt_py.train.optim import path_name
from magenta_rt_py.train.sharding import bytes_on_one_device, spec_of

FLOAT_BYTES = 4
"""Weights, moments, gradients, the decoder's residual stream and logits are float32."""

KINDS = {"params": "weights", "opt_state": "optimiser", "ema": "average"}
"""Field of the training state -> what the plan calls it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One array of a run.

    Attributes:
      kind: "weights", "optimiser", "average", "gradients" or "frozen".
      path: slash path.
      shape: whole shape.
      axes: mesh axis that splits each axis, None where none does.
      num_bytes: on each device.
    """

    kind: str
    path: str
    shape: tuple[int, ...]
    axes: tuple[str | None, ...]
    num_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What each device holds.

    Attributes:
      devices: how many there are.
      mesh: devices along each axis.
      rows: every array of the state, the gradients and the frozen weights.
      activations: bytes of each kind of intermediate result.
    """

    devices: int
    mesh: dict[str, int]
    rows: tuple[Row, ...]
    activations: dict[str, int]

    def by_kind(self) -> dict[str, int]:
        """Bytes on each device of each kind of array, activations last."""
        totals: dict[str, int] = {}
        for row in self.rows:
            totals[row.kind] = totals.get(row.kind, 0) + row.num_bytes
        return {**totals, "activations": sum(self.activations.values())}

    @property
    def num_bytes(self) -> int:
        """Bytes on each device, all in all."""
        return sum(self.by_kind().values())


def make_plan(config: FinetuneConfig, lm_config: LMConfig, devices: int) -> Plan:
    """The plan of a run on a number of devices.

    Raises:
      ValueError: the mesh does not fit the devices, or the batch the mesh.
    """
    mesh = config.mesh.sizes(devices)
    crops = config.crops_of_a_microbatch(mesh)
    parameters = parameter_shapes(lm_config)
    trained = adapters.adapter_shapes(config.adapters, lm_config) if config.is_lora else parameters
    rows = [*_state_rows(config, trained, mesh)]
    copies = 1 if config.accumulate == 1 else 2  # the sum so far, and the microbatch's own
    rows += [_row("gradients", path, shape, mesh, times=copies) for path, shape in trained.items()]
    if config.is_lora or config.is_anchored:
        rows += [_row("frozen", path, shape, mesh) for path, shape in parameters.items()]
    activations = activation_bytes(config, lm_config, crops=crops, tensor=mesh["tensor"])
    largest = max(math.prod(shape) for shape in trained.values())
    activations["update of the largest array"] = 2 * FLOAT_BYTES * largest // (mesh["fsdp"] * mesh["tensor"])
    return Plan(devices=devices, mesh=mesh, rows=tuple(rows), activations=activations)


def activation_bytes(config: FinetuneConfig, lm_config: LMConfig, *, crops: int, tensor: int = 1) -> dict[str, int]:
    """Bytes of intermediate results of one microbatch on one device.

    With `rematerialise` only the layers' inputs are kept, and at any time the inside of one layer; without it all
    insides are kept. An inside counts every intermediate result and its gradient, and of each attention the logits, the
    weights and the gradient of the logits.

    Args:
      config: dtype, rematerialisation, frames of a target.
      lm_config: sizes.
      crops: of one microbatch, on one device.
      tensor: devices that share heads and inner features.
    """
    item = 2 if config.activation_dtype == "bfloat16" else FLOAT_BYTES
    frames = config.target_frames or lm_config.chunk_frames
    scored = min(config.depth_frames or frames, frames)
    positions, levels, dim = lm_config.encoder_positions, lm_config.num_levels, lm_config.dim
    heads, inner = lm_config.num_heads / tensor, lm_config.num_heads * lm_config.head_dim / tensor
    mlp = lm_config.mlp_dim / tensor
    mixing = 2 * 4 * inner + 2 * 3 * mlp  # query, key, value, mixed; two gates and their product; and their gradients
    encoder = crops * positions * (mixing + 4 * dim) * item + 3 * crops * heads * positions**2 * item
    temporal = crops * frames * (mixing + 2 * 2 * inner) * item + crops * frames * 6 * dim * FLOAT_BYTES
    temporal += 3 * crops * heads * frames * (frames + positions) * item
    depth = crops * scored * levels * (mixing * item + 4 * dim * FLOAT_BYTES)
    depth += 3 * crops * scored * heads * levels**2 * item
    layers = ((lm_config.encoder_layers, encoder), (lm_config.temporal_layers, temporal), (lm_config.depth_layers, depth))
    inside = max(size for _, size in layers) if config.rematerialise else sum(count * size for count, size in layers)
    cast = 0.0
    if item < FLOAT_BYTES:
        cast = (8 * inner + 3 * mlp) * dim * item * (1 if config.rematerialise else sum(count for count, _ in layers))
    kept = {
        "embedded context": 2 * crops * positions * dim * FLOAT_BYTES,
        "inputs of the encoder's layers": lm_config.encoder_layers * crops * positions * dim * item,
        "keys and values of the context": lm_config.temporal_layers * 2 * 2 * crops * positions * inner * item,
        "inputs of the temporal layers": lm_config.temporal_layers * crops * frames * dim * FLOAT_BYTES,
        "inputs of the depth layers": (lm_config.depth_layers + 2) * crops * scored * levels * dim * FLOAT_BYTES,
        "inside of the largest layer" if config.rematerialise else "insides of the layers": inside,
        "kernels in the compute dtype": cast,
        "logits and their gradients": 3 * crops * scored * levels * lm_config.codebook_size * FLOAT_BYTES,
    }
    return {name: int(size) for name, size in kept.items()}


def grouped(rows: tuple[Row, ...]) -> list[tuple[Row, int]]:
    """Rows that differ only in a layer's number as one, with how many there are and all their bytes together."""
    groups: dict[tuple[Any, ...], tuple[Row, int]] = {}
    for row in rows:
        path = re.sub(r"layers_\d+", "layers_*", row.path)
        key = (row.kind, path, row.shape, row.axes)
        first, count = groups.get(key, (dataclasses.replace(row, path=path, num_bytes=0), 0))
        groups[key] = (dataclasses.replace(first, num_bytes=first.num_bytes + row.num_bytes), count + 1)
    return list(groups.values())


def _state_rows(config: FinetuneConfig, trained: Mapping[str, tuple[int, ...]], mesh: dict[str, int]) -> list[Row]:
    params = unflatten_dict({path: jax.ShapeDtypeStruct(shape, jnp.float32) for path, shape in trained.items()}, sep="/")
    optimizer, with_average = config.make_optimizer(), config.final_ema_decay is not None
    state: TrainState = jax.eval_shape(lambda given: create_state(given, optimizer, with_average=with_average), params)
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    rows = []
    for path, leaf in leaves:
        field, _, rest = path_name(path).partition("/")
        if field in KINDS:
            rows.append(_row(KINDS[field], rest, leaf.shape, mesh, item_bytes=leaf.dtype.itemsize))
    return rows


def _row(
    kind: str, path: str, shape: tuple[int, ...], mesh: dict[str, int], *, item_bytes: int = FLOAT_BYTES, times: int = 1
) -> Row:
    spec = spec_of(path, shape, mesh)
    axes = (*spec, *(None,) * (len(shape) - len(spec)))
    num_bytes = times * bytes_on_one_device(shape, item_bytes, spec, mesh)
    return Row(kind=kind, path=path, shape=shape, axes=axes, num_bytes=num_bytes)
