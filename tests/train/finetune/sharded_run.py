"""Runs the same tiny finetune on several meshes of one process and prints the losses as JSON; the tests start it."""

import json
import sys
import tempfile
from pathlib import Path

import jax

from magenta_rt_py import lm
from magenta_rt_py.generators.tiny import random_tensors
from magenta_rt_py.lm.config import tiny
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.train.data import load_dataset
from magenta_rt_py.train.finetune.config import FinetuneConfig
from magenta_rt_py.train.finetune.fit import Music, fit
from magenta_rt_py.train.metrics_log import read_metrics
from magenta_rt_py.train.sharding import MeshConfig, make_mesh


def losses(shard: str, mesh: MeshConfig, devices: int, **fields) -> dict:
    """Losses of every step, held-out loss at the end, and how one kernel is split."""
    import numpy as np

    config = FinetuneConfig(
        **{"steps": 3, "batch_size": 8, "rehearsal_share": 0.0, "target_frames": None, "depth_frames": None, "eval_crops": 8,
           "history": None, "log_every_steps": 1, "optimizer": "adamw", "learning_rate": 1e-2, "warmup_steps": 1, **fields},
        mesh=mesh,
    )  # fmt: skip
    model = tiny()
    initial = random_tensors(parameter_shapes(model), np.random.default_rng(0))
    data = load_dataset([shard])
    with tempfile.TemporaryDirectory() as directory:
        fitted = fit(
            config,
            model,
            initial,
            Music(train=data, held_out=data, rehearsal=data if config.rehearsal_share else None),
            None,
            directory=Path(directory),
            mesh=make_mesh(mesh, jax.devices()[:devices]),
        )
        lines = [line["loss"] for line in read_metrics(directory) if "loss" in line]
    kernel = lm.flatten(fitted.state.params).get("encoder/layers_0/attention/query/kernel")
    split = [] if kernel is None else list(kernel.sharding.shard_shape(kernel.shape))
    return {"losses": lines, "held_out": float(fitted.after["nats_mean"]), "kernel": split}


if __name__ == "__main__":
    runs = json.loads(sys.argv[2])
    results = {name: losses(sys.argv[1], MeshConfig(**mesh), count, **more) for name, (mesh, count, more) in runs.items()}
    print(json.dumps(results))
