"""Low-rank adapters (LoRA): a finetune as two thin matrices beside each kernel, with a strength that may change live.

    kernel + strength * (alpha / rank) * a @ b

The base weights stay as they are. `attached` lets a forward pass see the adapters without touching a kernel: gradients
are then as thin as the adapters, and in bfloat16 a small change is not rounded away. `merge` multiplies them in, for
decoding. The parameters of the language model, the adapters' own and their names in a bundle follow one pattern:

    encoder/layers_0/attention/query/kernel     the base's part "lm"
    encoder/layers_0/attention/query/a, .../b   the part "adapters"

Source: Hu et al. 2021, "LoRA: low-rank adaptation of large language models".
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, PRNGKeyArray

from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.initialise import draw, fill
from magenta_rt_py.lm.model import Params, parameter_shapes

__all__ = ["PART", "STRONGEST", "AdapterConfig", "adapter_shapes", "attached", "init", "load", "merge"]

PART = "adapters"
"""Name of the bundle's part that holds them."""

STRONGEST = 2.0
"""Greatest strength that is played, as of a prompt's weight."""

Adapters = dict[str, Any]
"""Nested as the parameters are; where they have "kernel", these have "a" and "b"."""

_KERNEL = "/kernel"


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """Size and place of the adapters."""

    # Inner width of each pair of matrices (Hu et al.: 1 to 64; 8 is their usual choice).
    rank: int = 8
    # What a pair adds is scaled by alpha / rank, so that the learning rate need not follow the rank.
    alpha: float = 16.0
    # Which dense layers get a pair: regular expressions, searched in the layer's slash path. All attention and MLP layers.
    targets: tuple[str, ...] | list[str] = (r"/(query|key|value|out)$", r"/(wi_0|wi_1|wo)$")
    # Strength a bundle is played with until a player turns it; 0 is the base, 1 is as trained.
    strength: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(self.targets))  # JSON has lists
        if self.rank < 1:
            raise ValueError(f"got rank {self.rank}, expected at least 1")
        if not self.targets:
            raise ValueError("got no targets, expected regular expressions of the layers to adapt")
        if not 0.0 <= self.strength <= STRONGEST:
            raise ValueError(f"got strength {self.strength}, expected 0 .. {STRONGEST:g}")

    @property
    def scale(self) -> float:
        """Factor of a @ b at strength 1."""
        return self.alpha / self.rank


def adapter_shapes(config: AdapterConfig, lm_config: LMConfig) -> dict[str, tuple[int, ...]]:
    """Slash path and shape of every adapter matrix; allocates nothing.

    Raises:
      ValueError: a target matches no dense layer of the model.
    """
    kernels = {
        path.removesuffix(_KERNEL): shape
        for path, shape in parameter_shapes(lm_config).items()
        # The head is no dense layer: its kernel is the table of ids.
        if path.endswith(_KERNEL) and "logits_dense" not in path
    }
    for target in config.targets:
        if not any(re.search(target, layer) for layer in kernels):
            raise ValueError(f"the target {target!r} matches no dense layer; they are named like {min(kernels)!r}")
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (inputs, outputs) in kernels.items():
        if any(re.search(target, layer) for target in config.targets):
            shapes |= {f"{layer}/a": (inputs, config.rank), f"{layer}/b": (config.rank, outputs)}
    return shapes


def init(key: PRNGKeyArray | Array, config: AdapterConfig, lm_config: LMConfig) -> Adapters:
    """Adapters before training: `b` is zero, so that they change nothing yet."""

    def deviation(path: str, shape: tuple[int, ...]) -> float:
        return 0.0 if path.endswith("/b") else shape[0] ** -0.5

    return draw(key, adapter_shapes(config, lm_config), deviation)


def load(flat: Mapping[str, Array | np.ndarray], config: AdapterConfig, lm_config: LMConfig) -> Adapters:
    """Adapters from slash path to array; refuses what does not fit the model, see `initialise.fill`."""
    return fill(flat, adapter_shapes(config, lm_config))


def merge(params: Params, adapters: Adapters, strength: float | Float[Array, ""], config: AdapterConfig) -> Params:
    """Parameters with the adapters multiplied in. Pure; the strength may be traced.

    Args:
      params: of the base, factorised or materialized (no table has adapters).
      adapters: of the same model.
      strength: 0 gives the base, bit for bit; 1 is as trained; more exaggerates; below 0 leads away from it.
      config: whose scale they were trained with.
    """
    merged = dict(flatten_dict(params, sep="/"))
    for layer, (a, b) in _pairs(adapters).items():
        kernel = merged[layer + _KERNEL]
        added = (jnp.asarray(strength, jnp.float32) * config.scale) * (a @ b)
        # Adding zero would turn a kernel's negative zeros positive.
        merged[layer + _KERNEL] = jnp.where(jnp.asarray(strength) == 0, kernel, kernel + added.astype(kernel.dtype))
    return unflatten_dict(merged, sep="/")


@contextlib.contextmanager
def attached(adapters: Adapters, config: AdapterConfig) -> Iterator[None]:
    """Within this context every forward pass of the language model adds the adapters' part at strength 1."""
    pairs = _pairs(adapters)

    def add(next_function: Any, arguments: Any, keywords: Any, context: nn.module.InterceptorContext) -> Any:
        y = next_function(*arguments, **keywords)
        pair = pairs.get("/".join(context.module.path)) if isinstance(context.module, nn.Dense) else None
        if pair is None or context.method_name != "__call__":
            return y
        x, (a, b) = arguments[0].astype(y.dtype), pair
        return y + config.scale * ((x @ a.astype(y.dtype)) @ b.astype(y.dtype))

    with nn.intercept_methods(add):
        yield


def _pairs(adapters: Adapters) -> dict[str, tuple[Array, Array]]:
    """Layer -> its two matrices."""
    flat = flatten_dict(adapters, sep="/")
    layers = [path.removesuffix("/a") for path in flat if path.endswith("/a")]
    return {layer: (flat[f"{layer}/a"], flat[f"{layer}/b"]) for layer in layers}
