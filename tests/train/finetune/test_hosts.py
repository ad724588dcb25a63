"""One run on two processes that know of each other by jax.distributed, as two hosts would: the losses of one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.train.finetune.conftest import QUICK_COMPILES
from tests.train.finetune.hosts_run import STEPS, STOP_STEP
from tests.train.finetune.test_sharded import write_shard

PROGRAM = Path(__file__).with_name("hosts_run.py")
PATIENCE_SECONDS = 600


def run_processes(root, shard, directory, count):
    """What each process printed last."""
    directory.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for number in range(count):
        with (directory / f"{number}.out").open("w") as out, (directory / f"{number}.err").open("w") as errors:
            started.append(
                subprocess.Popen(
                    [sys.executable, str(PROGRAM), *map(str, (shard, directory / "run", port, count, number))],
                    env={**os.environ, **QUICK_COMPILES, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(root), "XLA_FLAGS": ""},
                    stdout=out,
                    stderr=errors,
                )
            )
    try:
        codes = [process.wait(timeout=PATIENCE_SECONDS) for process in started]
    finally:
        for process in started:
            process.kill()
    assert codes == [0] * count, "\n".join((directory / f"{number}.err").read_text()[-2000:] for number in range(count))
    return [json.loads((directory / f"{number}.out").read_text().splitlines()[-1]) for number in range(count)]


def test_two_hosts_train_like_one_stop_together_and_go_on(root, tmp_path):
    shard = write_shard(tmp_path / "shard.npz")
    (alone,) = run_processes(root, shard, tmp_path / "alone", 1)
    two = run_processes(root, shard, tmp_path / "two", 2)
    assert two[0]["devices"] == 2 and alone["devices"] == 1
    assert len(alone["losses"]) == STEPS
    for results in two:
        assert results["stopped_at"] == alone["stopped_at"] == [STOP_STEP + 1]
        np.testing.assert_allclose(results["losses"], alone["losses"], atol=1e-4)
        np.testing.assert_allclose(results["checksum"], alone["checksum"], rtol=1e-4)
