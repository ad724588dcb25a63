"""A tiny run as one of several processes: SHARD DIRECTORY PORT PROCESSES NUMBER.

In the middle only the last process is told to stop (SIGTERM); then all of them go on.
"""

import json
import signal
import sys
from pathlib import Path

import jax
import numpy as np

from magenta_rt_py.generators.tiny import random_tensors
from magenta_rt_py.lm.config import tiny
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.train.data import load_dataset
from magenta_rt_py.train.finetune import fit as fitting
from magenta_rt_py.train.finetune.config import FinetuneConfig
from magenta_rt_py.train.metrics_log import read_metrics
from magenta_rt_py.train.sharding import MeshConfig

STEPS, STOP_STEP = 4, 1
CONFIG = FinetuneConfig(
    steps=STEPS, batch_size=4, rehearsal_share=0.0, target_frames=None, depth_frames=None, history=None, eval_crops=4,
    log_every_steps=1, optimizer="adafactor", final_ema_decay=None,
)  # fmt: skip


def stop_at(stop_step):
    """The process gets SIGTERM while it makes the batch of a step."""
    batch_of = fitting.training_batch

    def batch_and_signal(*arguments, step, **more):
        if step == stop_step:
            fitting.training_batch = batch_of
            signal.raise_signal(signal.SIGTERM)
        return batch_of(*arguments, step=step, **more)

    fitting.training_batch = batch_and_signal


if __name__ == "__main__":
    shard, directory, port, processes, number = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    if processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=processes, process_id=number)
    model, data = tiny(), load_dataset([shard])
    initial = random_tensors(parameter_shapes(model), np.random.default_rng(0))
    music = fitting.Music(train=data, held_out=data)
    if number == processes - 1:
        stop_at(STOP_STEP)
    config = FinetuneConfig(**{**vars(CONFIG), "mesh": MeshConfig(fsdp=processes)})
    try:
        fitting.fit(config, model, initial, music, None, directory=directory)
        raise AssertionError("it was not stopped")
    except SystemExit:
        stopped_at = sorted(int(folder.name) for folder in Path(directory, "steps").iterdir() if folder.name.isdigit())
    fitted = fitting.fit(config, model, initial, music, None, directory=directory)
    lines = [line["loss"] for line in read_metrics(fitting.own_directory(directory)) if "loss" in line]
    checksum = [float(np.abs(value).sum()) for value in fitted.tensors.values()]
    found = {"losses": lines, "checksum": checksum, "stopped_at": stopped_at, "devices": jax.device_count()}
    print(json.dumps(found))
