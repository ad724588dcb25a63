"""A codec and a style model for speed, where only the files matter; and what a prepared folder holds, for comparison."""

import types
import zlib

import numpy as np

from magenta_rt_py.train.folder import FolderConfig
from magenta_rt_py.train.prepare.config import PrepareConfig
from magenta_rt_py.train.prepare.pieces import Encoders
from tests.train.prepare.sounds import RATE

BRIEF = PrepareConfig(
    folder=FolderConfig(piece_seconds=2.0, shortest_seconds=1.0),
    shard_minutes=0.05,
    captions_per_piece=3,
    measured_words=False,
    clock=False,
    copies_below_minutes=0.0,
)
"""For files of a second, two or three a shard: so that a folder can be prepared a hundred times."""


class FakeCodec:
    """A codec for speed: a code is the mean of some samples of a part of a frame, put into 1024 steps."""

    sample_rate, channels, frame_samples, num_levels, codebook_size, frame_rate_hz = RATE, 2, 1920, 4, 1024, 25.0

    def encode(self, samples):
        parts = samples[..., 0].reshape(1, -1, 4, 480)[..., ::8].mean(3)
        return np.clip(np.round(512 + 3000 * parts), 0, 1023).astype(np.int32)


class FakeStyle:
    """A style model for speed: three numbers that depend on what is given."""

    config = types.SimpleNamespace(sample_rate_hz=16_000, dim=3, num_levels=6, codebook_size=1024)

    code_vectors = np.zeros((6, 1024, 3), np.float32)

    def embed_text(self, prompts):
        return np.array([[zlib.crc32(text.encode()) % 97, len(text), 1] for text in prompts], np.float32)

    def embed_audio(self, samples):
        return np.array([samples.mean(), samples.std(), np.abs(samples).max()], np.float32)

    def quantize(self, embedding):
        return np.repeat(np.round(np.abs(embedding[..., :1]) * 100) % 1024, 6, axis=-1).astype(np.int32)

    def mix(self, prompts):
        raise AssertionError("preparation mixes nothing")

    dequantize = mix


def fake_encoders():
    encoders = object.__new__(Encoders)  # the stand-ins are no Codec; nothing but its methods is used
    object.__setattr__(encoders, "codec", FakeCodec())
    object.__setattr__(encoders, "style", FakeStyle())
    return encoders


def content(directory):
    """All files below a directory: name -> bytes, the manifest without the times of change."""
    found = {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    found.pop("manifest.jsonl")
    return found
