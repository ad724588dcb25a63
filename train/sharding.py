"""Where parameters, optimiser state and batches lie on many devices: one mesh, one table of rules by parameter path.

    data     the batch is split, everything else is whole on every device (data parallel)
    fsdp     the batch is split, and so is one axis of every large parameter (fully sharded data parallel)
    tensor   the other axis of a parameter is split: heads, inner features of the MLP, rows of the table (tensor parallel)

A state of any optimiser has its parameters' paths inside it, and what it keeps of a parameter's shape lies where the
parameter lies. Which collectives that takes is left to XLA (GSPMD).
Source: the released training's partitioning by logical axes (t5x), expressed with jax.sharding.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from magenta_rt_py.train.optim import path_name

AXES = ("data", "fsdp", "tensor")
"""Names of the mesh's axes, slowest network first."""

RULES: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    (r"(query|key|value|wi_0|wi_1)/kernel$", ("fsdp", "tensor")),
    (r"(out|wo)/kernel$", ("tensor", "fsdp")),
    (r"token_embedder/embedding$", ("tensor", "fsdp")),
    (r"logits_dense/kernel$", ("fsdp", "tensor")),
    (r"(codec_map|style_map)$", (None, "fsdp", "tensor")),
    (r"(query|key|value|wi_0|wi_1|out|wo)/a$", ("fsdp", None)),
    (r"(query|key|value|wi_0|wi_1|out|wo)/b$", (None, "tensor")),
)
"""(regular expression, searched in a slash path; the mesh axis that splits each axis of that parameter).

What no rule names (norms, biases, clock maps) is whole on every device: it is small.
"""


@dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """Devices along each axis of the mesh; their product is the number of devices."""

    # Copies of the model that see different crops; 0: as many as the devices allow.
    data: int = 0
    # Devices that share one copy of the parameters, each also with its own crops.
    fsdp: int = 1
    # Devices that share one copy and the same crops.
    tensor: int = 1

    def sizes(self, devices: int) -> dict[str, int]:
        """Axis name -> devices along it.

        Raises:
          ValueError: the axes do not multiply to the number of devices.
        """
        fixed = self.fsdp * self.tensor
        data = self.data or devices // max(fixed, 1)
        if min(data, self.fsdp, self.tensor) < 1 or data * fixed != devices:
            raise ValueError(
                f"got a mesh of data {self.data or 'any'} x fsdp {self.fsdp} x tensor {self.tensor}, expected a product "
                f"of {devices}, the number of devices; choose other factors"
            )
        return {"data": data, "fsdp": self.fsdp, "tensor": self.tensor}


def make_mesh(config: MeshConfig = MeshConfig(), devices: Sequence[Any] | None = None) -> Mesh:
    """The mesh over all devices of all processes, or over the given ones."""
    chosen = jax.devices() if devices is None else list(devices)
    sizes = config.sizes(len(chosen))
    automatic = (jax.sharding.AxisType.Auto,) * len(AXES)
    return jax.make_mesh(tuple(sizes[axis] for axis in AXES), AXES, automatic, devices=chosen)


def spec_of(path: str, shape: tuple[int, ...], sizes: dict[str, int]) -> P:
    """How a leaf of a training state is split: by the first rule whose path and number of axes fit.

    An axis that the mesh does not divide evenly is left whole, as is an optimiser's row or column of a parameter.
    """
    for pattern, axes in RULES:
        if re.search(pattern, path) and len(axes) == len(shape):
            split = [axis if axis and length % sizes[axis] == 0 else None for axis, length in zip(axes, shape)]
            return P(*split)
    return P()


def bytes_on_one_device(shape: tuple[int, ...], item_bytes: int, spec: P, sizes: dict[str, int]) -> int:
    """Bytes of a leaf on each device."""
    return math.prod(shape) * item_bytes // math.prod(sizes[axis] for axis in spec if axis)


def shardings_of(tree: Any, mesh: Mesh) -> Any:
    """A sharding for every leaf (array or shape) of a training state."""
    sizes = dict(mesh.shape)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: NamedSharding(mesh, spec_of(path_name(path), np.shape(leaf), sizes)), tree
    )


def place(tree: Any, mesh: Mesh) -> Any:
    """The tree on the mesh, every leaf by its rule. Every process must hold the same values."""
    return jax.tree.map(_put, tree, shardings_of(tree, mesh))


def place_batch(batch: Any, mesh: Mesh) -> Any:
    """Arrays [batch, ...] split over data and fsdp; every process gives the whole batch and keeps its rows.

    Raises:
      ValueError: the batch cannot be split evenly.
    """
    shards = mesh.shape["data"] * mesh.shape["fsdp"]
    rows = len(jax.tree.leaves(batch)[0])
    if rows % shards:
        raise ValueError(f"got a batch of {rows} crops for {shards} data shards, expected a multiple; change the batch size")
    split = NamedSharding(mesh, P(("data", "fsdp")))
    return jax.tree.map(lambda array: _put(array, split), batch)


def whole_on_host(tree: Any) -> Any:
    """Every leaf as a NumPy array, gathered from all devices and processes."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(tree, tiled=True)


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of what is whole on every device."""
    return NamedSharding(mesh, P())


def _put(array: Any, sharding: NamedSharding) -> jax.Array:
    if jax.process_count() == 1:
        return jax.device_put(array, sharding)
    host = np.asarray(array)
    pick: Callable[[Any], np.ndarray] = lambda index: host[index]  # noqa: E731
    return jax.make_array_from_callback(host.shape, sharding, pick)
