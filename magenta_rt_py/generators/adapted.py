"""Adapted: a language model's parameters with its adapters multiplied in, at whatever strength a player turns them to.

    base parameters + strength * adapters -> parameters, kept for the last few strengths

Only kernels that have adapters are made anew; all else is the base's own array. The strength is traced: turning it compiles
nothing. Tables have no adapters, so they stay as they were multiplied out at load.

Stateful only in what it keeps: the same strength gives the same parameters. Streams and seats of one model share it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import partial
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from magenta_rt_py.lm import adapters
from magenta_rt_py.lm.adapters import AdapterConfig

__all__ = ["Adapted"]

KEPT_STRENGTHS = 2
"""Strengths that are kept: each costs as much memory as the kernels that have adapters."""
_KERNEL = "/kernel"


class Adapted:
    """See the module's head. Any thread.

    Attributes:
      config: of the adapters; its strength is what the bundle is played with until a player turns it.
    """

    def __init__(self, params: Any, matrices: Any, config: AdapterConfig) -> None:
        """Makes the parameters of the bundle's own strength, which also compiles.

        Args:
          params: of the base, as the decoder takes them.
          matrices: the adapters, from `adapters.load`.
          config: of the adapters.
        """
        self.config = config
        self._base, self._matrices = flatten_dict(params, sep="/"), matrices
        layers = {name.rpartition("/")[0] for name in flatten_dict(matrices, sep="/")}
        self._kernels = {layer + _KERNEL: self._base[layer + _KERNEL] for layer in sorted(layers)}
        self._kept: OrderedDict[float, Any] = OrderedDict()
        self._lock = threading.Lock()
        self.at(config.strength)

    def at(self, strength: float | None) -> Any:
        """Parameters as `decode.generate` takes them.

        Args:
          strength: 0 is the base bit for bit, 1 as trained; `Controls` and the knob check it. None is the bundle's own.
        """
        chosen = float(self.config.strength if strength is None else strength)
        with self._lock:
            if chosen not in self._kept:
                while len(self._kept) >= KEPT_STRENGTHS:
                    self._kept.popitem(last=False)  # before the new ones are made: memory is short where models are large
                self._kept[chosen] = self._merged(chosen)
            self._kept.move_to_end(chosen)
            return self._kept[chosen]

    def _merged(self, strength: float) -> Any:
        kernels = unflatten_dict(self._kernels, sep="/")
        merged = _merge(kernels, self._matrices, np.float32(strength), config=self.config)
        return unflatten_dict({**self._base, **flatten_dict(merged, sep="/")}, sep="/")


@partial(jax.jit, static_argnames="config")
def _merge(kernels: Any, matrices: Any, strength: Any, *, config: AdapterConfig) -> Any:
    return adapters.merge(kernels, matrices, strength, config)
