"""Kill -9 in the middle of a finetune: it goes on from the last checkpoint and ends with the same bundle.

One random moment a run of the suite; MRT_KILLS=10 in the environment takes ten.
"""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.train.finetune.finetune import finetune
from magenta_rt_py.train.metrics_log import read_metrics
from tests.train.finetune.conftest import QUICK_COMPILES
from tests.train.finetune.killed_run import CONFIG, INTERVAL, STEPS

PATIENCE_SECONDS = 600
KILLS = int(os.environ.get("MRT_KILLS", "1"))


def run_until_killed(root, bundle, shards, output, moment, number):
    """Runs the program, which kills itself; returns the newest step that is kept."""
    program = Path(__file__).with_name("killed_run.py")
    ended = subprocess.run(
        [sys.executable, str(program), *map(str, (bundle.path, shards, output, moment, number))],
        env={**os.environ, **QUICK_COMPILES, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]
    assert not output.exists(), "a bundle appears only at the end"
    steps = output.with_suffix(".work") / "steps"
    return max((int(folder.name) for folder in steps.iterdir() if folder.name.isdigit()), default=0)


@pytest.fixture(scope="module")
def whole(bundle, shards, tmp_path_factory):
    """The same run, never stopped."""
    output = tmp_path_factory.mktemp("whole") / "mine"
    finetune(bundle, shards, output, CONFIG, rehearsal_data=shards)
    return output


def test_the_run_is_one_that_holds_to_its_base():
    assert CONFIG.is_anchored and CONFIG.rehearsed_rows == 1


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_ends_like_one_that_was_not(root, bundle, shards, whole, tmp_path, number):
    output, moment = tmp_path / "mine", random.choice(("step", "save"))
    step = random.randrange(1, STEPS) if moment == "step" else random.randrange(INTERVAL, STEPS + 1, INTERVAL)
    kept = run_until_killed(root, bundle, shards, output, moment, step)
    expected = {step // INTERVAL * INTERVAL} if moment == "step" else {step - INTERVAL, step}
    assert kept in expected, f"killed at {moment} {step}, kept {kept}: more than an interval is lost"
    finetune(bundle, shards, output, CONFIG, rehearsal_data=shards)
    assert losses(output) == losses(whole), (number, moment, step)
    made, expected = load_bundle(output), load_bundle(whole)
    assert made.shards == expected.shards
    for name, value in expected.tensors("lm").items():
        np.testing.assert_array_equal(made.tensors("lm")[name], value)


def losses(output):
    lines = [(line["step"], line["loss"]) for line in read_metrics(output.with_suffix(".work")) if "loss" in line]
    assert [step for step, _ in lines] == list(range(1, STEPS + 1))
    return lines
