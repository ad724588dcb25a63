"""Our models for the comparison. Runs in the project's own environment, started by side_by_side.py."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
import worker

from magenta_rt_py.codec import config as compact_config
from magenta_rt_py.codec import spectrostream_config, spectrostream_network
from magenta_rt_py.codec.compact import CompactCodec
from magenta_rt_py.codec.interface import Codec
from magenta_rt_py.codec.spectrostream import SpectroStream
from magenta_rt_py.generators import system
from magenta_rt_py.generators.state import CHUNK_FRAMES, FRAME_RATE_HZ
from magenta_rt_py.generators.tiny import random_codec_tensors
from magenta_rt_py.speed import subject

LEVELS = 16
"""Levels that the language models make and the codecs are timed with."""


def base(order: worker.Order) -> worker.Loaded:
    """The released Base geometry with SpectroStream, random weights."""
    return _language_model("tiny" if order.tiny else "base", order)


def starter(order: worker.Order) -> worker.Loaded:
    """The bundled starter."""
    return _language_model("tiny" if order.tiny else "starter", order)


def spectrostream(order: worker.Order) -> worker.Loaded:
    """The released codec's geometry, random weights."""
    config = spectrostream_config.tiny() if order.tiny else spectrostream_config.released()
    tensors = spectrostream_network.random_tensors(config)
    return _codec(SpectroStream.from_tensors(config, tensors), tensors, order)


def compact(order: worker.Order) -> worker.Loaded:
    """The starter's codec."""
    if not order.tiny:
        codec: Any = system.load_codec()
        return _codec(codec, codec.to_tensors(), order)
    tensors = random_codec_tensors(compact_config.tiny(), np.random.default_rng(0))
    return _codec(CompactCodec.from_tensors(compact_config.tiny(), tensors), tensors, order)


MODELS: dict[str, worker.Load] = {
    "Base geometry": base, "starter": starter, "SpectroStream geometry": spectrostream, "starter codec": compact,
}  # fmt: skip


def _language_model(size: str, order: worker.Order) -> worker.Loaded:
    built = subject.build(size, dtype=order.dtype)
    stream = built.stream()
    requests = _requests(round(order.seconds * FRAME_RATE_HZ))
    config = built.models.lm_config

    def generate() -> float:
        return sum(len(stream.next_chunk(frames)) for frames in requests) / 48_000

    return worker.Loaded(
        parameters=built.lm_parameters + built.codec_parameters,
        core_parameters=built.lm_parameters,
        sample_rate=48_000,
        channels=2,
        bits_per_second=FRAME_RATE_HZ * config.num_levels * math.log2(config.codebook_size),
        runs={"generate": generate},
        note=f"{order.dtype}; guidance weight {built.controls.guidance_weight:g}; codec included; {built.weights} weights",
    )


def _requests(frames: int) -> list[int]:
    """Lengths of the requests that make so many frames: no longer than a chunk."""
    whole, rest = divmod(frames, CHUNK_FRAMES)
    return [CHUNK_FRAMES] * whole + ([rest] if rest else [])


def _codec(codec: Codec, tensors: dict[str, np.ndarray], order: worker.Order) -> worker.Loaded:
    samples = np.random.default_rng(0).normal(0.0, 0.1, (1, round(order.seconds * 48_000), 2)).astype(np.float32)
    codes = codec.encode(samples)[..., :LEVELS]

    def encode() -> float:
        codec.encode(samples)
        return order.seconds

    def decode() -> float:
        codec.decode(codes)
        return order.seconds

    numbers = sum(tensor.size for tensor in tensors.values())
    return worker.Loaded(
        parameters=numbers,
        core_parameters=numbers,
        sample_rate=48_000,
        channels=2,
        bits_per_second=FRAME_RATE_HZ * LEVELS * 10,
        runs={"encode": encode, "decode": decode},
        note=f"encodes all {codec.num_levels} levels, decodes {LEVELS}",
    )


if __name__ == "__main__":
    worker.serve(MODELS, {"jax": jax.__version__, "numpy": np.__version__})
