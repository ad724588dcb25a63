"""Released files in small: the real T5X fixture where it is at hand, and language models made by hand."""

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.model import parameter_shapes


class Fixture(NamedTuple):
    """A checkpoint that T5X itself wrote.

    Attributes:
      path: its folder.
      parameters: slash path -> array, as the released code had them.
      settings: its gin settings.
      data: inputs and logits of the released code, by name.
    """

    path: Path
    parameters: dict[str, np.ndarray]
    settings: str
    data: dict[str, np.ndarray]


@pytest.fixture(scope="session")
def t5x_fixture(oracle_folder) -> Fixture | None:
    """The checkpoint, or None where it is not at hand: checkpoints.write_by_hand makes the same layout for all tests."""
    if oracle_folder is None:
        return None
    with np.load(oracle_folder / "tiny_f32.npz") as stored:
        names = [name for name in stored.files if name.startswith("param:")]
        parameters = {name.removeprefix("param:"): stored[name] for name in names}
        data = {name: stored[name] for name in ("encoder_input_tokens", "decoder_target_tokens", "teacher_logits")}
    settings = json.loads((oracle_folder / "tiny_f32.json").read_text())["gin_overrides"]
    return Fixture(oracle_folder / "t5x_ckpt_tiny" / "checkpoint_1860000", parameters, settings, data)


@pytest.fixture(scope="session")
def lm_sizes() -> LMConfig:
    """A narrow model of the released token layout: 16 levels, 29,824 rows."""
    return dataclasses.replace(
        lm_config.base(), dim=4, num_heads=2, head_dim=3, mlp_dim=5, encoder_layers=1, temporal_layers=2, depth_layers=1
    )


@pytest.fixture(scope="session")
def lm_tensors(lm_sizes) -> dict[str, np.ndarray]:
    """Its tensors."""
    generator = np.random.default_rng(0)
    return {path: generator.normal(size=shape).astype(np.float32) for path, shape in parameter_shapes(lm_sizes).items()}
