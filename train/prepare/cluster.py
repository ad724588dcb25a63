"""The same shards on many machines: a Ray Data job whose rows are shards.

Each worker runs `make_shard`, the function that one machine runs, so the shards are equal to the last bit. All machines
must see the audio folder, the bundle and the prepared folder at the same paths. Why Ray and not Beam: docs/preparing.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from magenta_rt_py import cluster
from magenta_rt_py.train.prepare.pieces import Encoders
from magenta_rt_py.train.prepare.run import Preparation, load_encoders
from magenta_rt_py.train.prepare.shards import ShardPlan, kept_files, make_shard


class ShardWorker:
    """One process of the cluster: loads the bundle when its first shard comes, then makes shard after shard."""

    def __init__(self, work: Preparation) -> None:
        """Keeps what was decided; nothing is loaded yet."""
        self._work, self._plans = work, {plan.name: plan for plan in work.plans}
        self._encoders: Encoders | None = None
        self._kept: dict[str, Path] = {}

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Makes the shard that the row names and gives the row back."""
        work = self._work
        if self._encoders is None:
            self._encoders, self._kept = load_encoders(work.bundle), kept_files(work.out)
        make_shard(
            self._plans[row["name"]],
            directory=work.directory,
            out=work.out,
            encoders=self._encoders,
            config=work.config,
            kept=self._kept,
        )
        return row


def make_on_cluster(
    work: Preparation,
    plans: Sequence[ShardPlan],
    *,
    workers: int,
    address: str | None = None,
    done: Callable[[ShardPlan], None] | None = None,
) -> None:
    """Makes shards on a Ray cluster.

    Args:
      work: what was decided.
      plans: shards to be made.
      workers: processes, each on a core of its own.
      address: of a running cluster; None starts one on this machine and ends it afterwards.
      done: called behind each shard.
    Raises:
      MissingExtraError: Ray is not installed.
      ValueError: no worker.
      OSError: the cluster failed, such as for a full disk; what was made before stands.
    """
    if workers < 1:
        raise ValueError(f"got {workers} workers, expected at least 1")
    if not plans:
        return
    with cluster.joined("preparing on a cluster", address=address, cores=workers + 1):
        _make(work, plans, workers=workers, done=done)


def _make(
    work: Preparation, plans: Sequence[ShardPlan], *, workers: int, done: Callable[[ShardPlan], None] | None
) -> None:
    """Makes them on the cluster that was joined."""
    import ray.data
    from ray.exceptions import RayError

    logging.getLogger("ray.data").setLevel(logging.WARNING)  # how far it is, `done` tells
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        rows = ray.data.from_items([{"name": plan.name} for plan in plans], override_num_blocks=len(plans))
        pool = ray.data.ActorPoolStrategy(size=workers)
        made = rows.map(ShardWorker, fn_constructor_args=(work,), compute=pool, num_cpus=1)
        by_name = {plan.name: plan for plan in plans}
        for row in made.iter_rows():
            if done is not None:
                done(by_name[row["name"]])
    except RayError as error:
        raise OSError(f"the cluster stopped: {cluster.reason_of(error)}; run the same command again to go on") from error
