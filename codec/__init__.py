"""Streaming residual-quantizing codecs behind one interface.

A second codec at the released geometry (SpectroStream) has its place in `codec/spectrostream.py`.
"""

from magenta_rt_py.codec.compact import CompactCodec, DecodeState, EncodeState
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.codec.interface import Codec

__all__ = ["Codec", "CompactCodec", "CompactCodecConfig", "DecodeState", "EncodeState"]
