import numpy as np
import pytest

from magenta_rt_py.style import config as presets
from magenta_rt_py.style import musiccoca_config
from magenta_rt_py.style.embedder import StyleModel, tensor_shapes
from magenta_rt_py.style.musiccoca_network import network_shapes
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


def random_network(config: musiccoca_config.MusicCoCaConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights of a MusicCoCa, large enough that every one of them is heard."""
    random = np.random.default_rng(seed)
    tensors = {}
    for name, shape in network_shapes(config).items():
        tensors[name] = (0.4 * random.normal(size=shape)).astype(np.float32)
        if name.endswith("scale"):
            tensors[name] += 1.0
        if name.endswith("mel_matrix"):
            tensors[name] = np.abs(tensors[name])
    return tensors


@pytest.fixture(scope="session")
def network_weights():
    """The function random_network."""
    return random_network


@pytest.fixture(scope="session")
def style_codebooks() -> np.ndarray:
    """Twelve levels of 32 code vectors of 12 numbers, ever smaller, as in a trained quantizer."""
    sizes = 0.8 ** np.arange(12)[:, None, None]
    return (sizes * np.random.default_rng(3).normal(size=(12, 32, 12))).astype(np.float32)
