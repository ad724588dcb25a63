"""Models: the parts of a loaded bundle, ready to run."""

from __future__ import annotations

import dataclasses
from typing import Any

from magenta_rt_py.codec.interface import Codec
from magenta_rt_py.generators.adapted import Adapted
from magenta_rt_py.generators.packed_decoders import PackedDecoders
from magenta_rt_py.lm.averaging import AveragedLevels
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.packing import Packed


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Models:
    """What `generate_chunk` runs: immutable, shared by any number of streams."""

    codec: Codec
    """Codes to sound, sound to codes."""
    lm_config: LMConfig
    """Geometry of the language model, after materializing: one decode path serves all."""
    lm_params: Any
    """Its parameters, a pytree of arrays on the device; of a bundle with adapters, the base's."""
    refinement_config: Any = None
    """Geometry of the model that fills the levels the language model leaves out; None if it leaves out none."""
    refinement_params: Any = None
    """Its parameters."""
    refinement_vectors: Any = None
    """The codec's code vectors, normalised per level, which it reads."""

    averaged: AveragedLevels | None = None
    """The codec's vectors of the levels that the language model averages (lm.averaging); None if it draws all."""
    adapted: Adapted | None = None
    """The same parameters with a bundle's adapters in them; None if it has none."""
    packed_decoders: PackedDecoders | None = None
    """The language model's decoder for the frame loop of a CPU; None where XLA makes the frames (lm.narrow_decode)."""
    is_exact: bool = False
    """Whether requests are made as the released program makes them, see `exact.exact`."""

    def params_at(self, strength: float | None) -> Any:
        """The language model's parameters at a strength of the adapters, 0 .. 2.

        Args:
          strength: None is the bundle's own. Without adapters it changes nothing.
        """
        return self.lm_params if self.adapted is None else self.adapted.at(strength)

    def packed_of(self, params: Any) -> Packed | None:
        """What `decode.generate` makes the frames of one stream with, besides the parameters; None: nothing else.

        Args:
          params: from `params_at`.
        """
        return None if self.packed_decoders is None or self.is_exact else self.packed_decoders.of(params)

    @property
    def num_levels(self) -> int:
        """Levels of a generated frame: all of the codec's, or the language model's if nothing refines them."""
        return self.lm_config.num_levels if self.refinement_params is None else self.codec.num_levels
