"""Streaming residual-quantizing codecs behind one interface: the compact one, and SpectroStream, the released one."""

from magenta_rt_py.codec.compact import CompactCodec, DecodeState, EncodeState
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.codec.interface import Codec
from magenta_rt_py.codec.loading import codec_from_tensors
from magenta_rt_py.codec.spectrostream import SpectroStream, SpectroStreamDecodeState, SpectroStreamEncodeState
from magenta_rt_py.codec.spectrostream_config import SpectroStreamConfig

__all__ = [
    "Codec",
    "CompactCodec",
    "CompactCodecConfig",
    "DecodeState",
    "EncodeState",
    "SpectroStream",
    "SpectroStreamConfig",
    "SpectroStreamDecodeState",
    "SpectroStreamEncodeState",
    "codec_from_tensors",
]
