"""One run on 1, 2, 4 and 8 simulated devices, in every way of splitting: the same losses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.train.finetune.conftest import QUICK_COMPILES

ANCHORED = {"rehearsal_share": 0.5, "anchor_weight": 2.0}
RUNS = {
    "1": ({}, 1, {}),
    "2 tensor": ({"tensor": 2}, 2, {}),
    "4 fsdp": ({"fsdp": 4}, 4, {}),
    "8 all": ({"data": 2, "fsdp": 2, "tensor": 2}, 8, {}),
    "2 in two microbatches, rematerialised": ({"fsdp": 2}, 2, {"accumulate": 2, "rematerialise": True}),
    "lora 1": ({}, 1, {"method": "lora"}),
    "anchored 1": ({}, 1, ANCHORED),
    "anchored 8": ({"data": 2, "fsdp": 2, "tensor": 2}, 8, ANCHORED),
    "anchored 2 in two microbatches": ({"fsdp": 2}, 2, {"accumulate": 2, **ANCHORED}),
    "lora 8": ({"data": 2, "fsdp": 2, "tensor": 2}, 8, {"method": "lora"}),
}


def write_shard(path: Path) -> Path:
    random = np.random.default_rng(3)
    codes = random.integers(0, 32, (8, 6, 3))[:, np.arange(80) % 6].astype(np.int16)
    style = np.zeros((8, 1, 5), np.float32)
    styles = random.integers(0, 32, (8, 1, 2)).astype(np.int16)
    np.savez(path, codes=codes, frames_per_beat=np.full(8, 6.0), style_audio=style, style_text=style,
             style_audio_codes=styles, style_text_codes=styles)  # fmt: skip
    return path


@pytest.fixture(scope="module")
def results(root, tmp_path_factory):
    shard = write_shard(tmp_path_factory.mktemp("tokens") / "shard.npz")
    script = Path(__file__).with_name("sharded_run.py")
    found = subprocess.run(
        [sys.executable, str(script), str(shard), json.dumps(RUNS)],
        env={**os.environ, **QUICK_COMPILES, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu",
             "PYTHONPATH": str(root)},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", [name for name in RUNS if not name.startswith(("1", "lora", "anchored"))])
def test_losses_do_not_depend_on_the_devices(results, name):
    np.testing.assert_allclose(results[name]["losses"], results["1"]["losses"], atol=1e-4)
    assert results[name]["held_out"] == pytest.approx(results["1"]["held_out"], abs=1e-3)


def test_adapters_train_the_same_on_eight_devices(results):
    np.testing.assert_allclose(results["lora 8"]["losses"], results["lora 1"]["losses"], atol=1e-4)
    assert results["lora 1"]["losses"] != results["1"]["losses"]


@pytest.mark.parametrize("name", ["anchored 8", "anchored 2 in two microbatches"])
def test_an_anchor_holds_the_same_on_several_devices(results, name):
    np.testing.assert_allclose(results[name]["losses"], results["anchored 1"]["losses"], atol=1e-4)
    assert results["anchored 1"]["losses"] != results["1"]["losses"]


def test_training_changes_the_loss(results):
    losses = results["1"]["losses"]
    assert len(losses) == 3 and abs(losses[-1] - losses[0]) > 1e-3


def test_weights_are_really_split(results):
    assert results["1"]["kernel"] == [16, 16]
    assert results["2 tensor"]["kernel"] == [16, 8]
    assert results["4 fsdp"]["kernel"] == [4, 16]
    assert results["8 all"]["kernel"] == [8, 8]
