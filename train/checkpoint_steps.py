"""Checkpoints of a sharded run: a folder a step, the newest few kept, each host writing what it holds (orbax).

One file (`train.checkpoint`) needs the whole state in one process. Here every process writes its own part, a checkpoint
appears whole or not at all, and it can be read onto another mesh than it was written from.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import NamedSharding

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.train.checkpoint import Tree
from magenta_rt_py.train.optim import path_name


class StepStore:
    """A `train.checkpoint.CheckpointStore` over many steps and devices. Use it as a context manager."""

    def __init__(self, directory: str | Path, *, keep: int = 3) -> None:
        """Opens the folder, which is made if need be; the next save first removes what an interrupted one left half written.

        Args:
          directory: the run's checkpoints, seen by all its processes.
          keep: newest steps kept, at least 1.
        """
        if keep < 1:
            raise ValueError(f"got keep {keep}, expected at least 1: the run could not go on after a stop")
        self._directory = Path(directory).resolve()
        # Saving in the background would let a run end before its last step is safe.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, cleanup_tmp_directories=True, enable_async_checkpointing=False
        )
        # The handler is named so that a folder of an earlier session tells its arrays before any is read.
        self._manager = ocp.CheckpointManager(
            self._directory, options=options, item_handlers=ocp.StandardCheckpointHandler()
        )

    def exists(self) -> bool:
        """See CheckpointStore."""
        return self._manager.latest_step() is not None

    def steps(self) -> list[int]:
        """Steps that are kept, oldest first."""
        return sorted(self._manager.all_steps())

    def restore(self, template: Tree) -> Tree:
        """The newest state, its arrays where those of `template` lie; see CheckpointStore."""
        step = self._manager.latest_step()
        if step is None:
            raise CheckpointError(f"{self._directory} holds no checkpoint; train from the start")
        leaves, structure = jax.tree_util.tree_flatten_with_path(template)
        wanted = {_name(path): jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding) for path, leaf in leaves}
        self._check(step, wanted)
        try:
            found = self._manager.restore(step, args=ocp.args.StandardRestore(wanted))
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"checkpoint {step} in {self._directory} cannot be read ({error}); remove its folder to go on from the one "
                "before"
            ) from error
        return jax.tree_util.tree_unflatten(structure, [found[_name(path)] for path, _ in leaves])

    def save(self, state: Any) -> None:
        """Keeps the state under its step; one that is kept already is left as it is. See CheckpointStore."""
        step = int(state.step)
        if self._manager.latest_step() == step:
            return
        # What the loop has just written lies on one device of this process; hosts share only what lies on the mesh.
        state = jax.tree.map(lambda leaf: leaf if isinstance(leaf.sharding, NamedSharding) else np.asarray(leaf), state)
        if not bool(_all_finite(state)):
            raise FloatingPointError(
                f"the state of step {step} holds NaN or infinity; the checkpoints in {self._directory} were left as they "
                "were. Resume from the last one with a lower learning rate."
            )
        leaves, _ = jax.tree_util.tree_flatten_with_path(state)
        self._manager.save(step, args=ocp.args.StandardSave({_name(path): leaf for path, leaf in leaves}))

    def close(self) -> None:
        """Lets go of the folder."""
        self._manager.close()

    def __enter__(self) -> StepStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _check(self, step: int, wanted: dict[str, jax.ShapeDtypeStruct]) -> None:
        """Refuses the state of another model before any of it is read."""
        kept = self._manager.item_metadata(step)
        if kept is None:  # a folder that lost its description: reading it will tell
            return
        shapes = {name: tuple(entry.shape) for name, entry in dict(kept).items()}
        expected = {name: tuple(leaf.shape) for name, leaf in wanted.items()}
        wrong = sorted(name for name in shapes.keys() | expected.keys() if shapes.get(name) != expected.get(name))
        if wrong:
            first = wrong[0]
            raise CheckpointError(
                f"{self._directory} was written by another configuration ({len(wrong)} arrays differ; {first}: "
                f"{shapes.get(first, 'nothing')} kept, {expected.get(first, 'nothing')} in the model); "
                "train in a new directory or restore the old configuration"
            )


@jax.jit
def _all_finite(state: Any) -> jax.Array:
    leaves = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()


def _name(path: tuple[Any, ...]) -> str:
    # A slash would be a folder to orbax.
    return path_name(path).replace("/", ".")
