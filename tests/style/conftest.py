import numpy as np
import pytest

from magenta_rt_py.style import config as presets
from magenta_rt_py.style.embedder import StyleModel, tensor_shapes
from magenta_rt_py.train.style_data import train_tokenizer

CAPTIONS = [
    "lofi hip hop with dusty drums",
    "dark techno at 130 bpm",
    "gentle acoustic folk guitar",
    "bright funk with brass",
    "ambient pad in c minor",
    "jazz trio, brushed drums and upright bass",
    "fast drum and bass",
    "slow dub reggae",
]


@pytest.fixture(scope="session")
def tokenizer_bytes() -> bytes:
    return train_tokenizer(CAPTIONS, presets.tiny())


@pytest.fixture(scope="session")
def model(tokenizer_bytes) -> StyleModel:
    """A tiny model with random weights."""
    config, random = presets.tiny(), np.random.default_rng(0)
    tensors = {}
    for name, shape in tensor_shapes(config).items():
        spread = 0.5 if name.startswith("quantizer") else 0.3
        tensors[name] = (spread * random.normal(size=shape)).astype(np.float32)
        if name.endswith(("scale", "front_end/std")):
            tensors[name] = np.ones(shape, np.float32)
    tensors |= {name: np.zeros(config.dim, np.float32) for name in ("centre/audio", "centre/text")}
    return StyleModel.from_tensors(config, tensors, tokenizer_bytes)
