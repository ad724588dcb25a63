"""PackedDecoders: a language model's decoder as the frame loop reads it, for each set of parameters that is played.

    parameters (as loaded, or with adapters at a strength) -> packing.Packed, kept for the last few

Stateful only in what it keeps. Streams and seats of one model share it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from magenta_rt_py.lm.averaging import AveragedLevels
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.packing import STORAGES, Packed, pack

__all__ = ["PackedDecoders"]

KEPT = 2
"""Sets of parameters whose decoder is kept, as many as `Adapted` keeps."""


class PackedDecoders:
    """See the module's head. Any thread.

    Attributes:
      storage: "float32", or "int8". Adapters have changed kernels that were stored as int8: those are rounded anew.
    """

    def __init__(self, config: LMConfig, averaged: AveragedLevels | None, storage: str) -> None:
        """Packs nothing yet.

        Args:
          config: of the plain model.
          averaged: `averaging.averaged_levels` of the codec.
          storage: of the weights, see `packing.pack`.
        Raises:
          ValueError: another storage.
        """
        if storage not in STORAGES:
            raise ValueError(f"got storage {storage!r}, expected one of {', '.join(STORAGES)}")
        self.storage = storage
        self._config, self._averaged = config, averaged
        self._kept: OrderedDict[int, tuple[Any, Packed]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, params: Any) -> Packed:
        """The decoder of these parameters, packed now unless they are among the last ones.

        Args:
          params: plain parameters; the same object is the same parameters.
        """
        with self._lock:
            if id(params) not in self._kept:
                packed = pack(params, self._config, self._averaged, storage=self.storage)
                # The parameters are kept too: while they live, no other object has their id.
                self._kept[id(params)] = params, packed
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(id(params))
            return self._kept[id(params)][1]
