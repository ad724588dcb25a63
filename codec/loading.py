"""A codec from a bundle's config and tensors, whichever kind it is."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from magenta_rt_py.codec.compact import CompactCodec
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.codec.interface import Codec
from magenta_rt_py.codec.spectrostream import SpectroStream
from magenta_rt_py.codec.spectrostream_config import SpectroStreamConfig


def codec_from_tensors(fields: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Codec:
    """A codec from what a bundle holds of it.

    Args:
      fields: of the config, by name; "kind" says which codec, "compact" where it is missing.
      tensors: by slash path.
    Raises:
      ValueError: if the kind is unknown, or the tensors are not those of the config.
      TypeError: if a field of the compact codec is unknown.
    """
    kind = fields.get("kind", "compact")
    if kind == "spectrostream":
        return SpectroStream.from_tensors(SpectroStreamConfig.from_dict(fields), tensors)
    if kind == "compact":
        given = {name: value for name, value in fields.items() if name != "kind"}
        return CompactCodec.from_tensors(CompactCodecConfig(**given), tensors)
    raise ValueError(f"got a codec of kind {kind!r}, expected 'compact' or 'spectrostream'; update the package")
