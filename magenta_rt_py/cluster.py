"""Cluster: joins a Ray cluster that runs, or starts one on this machine for as long as it is needed. Stateful shell."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from magenta_rt_py.errors import MissingExtraError

__all__ = ["joined", "reason_of"]

OBJECT_STORE_BYTES = 200 * 2**20
"""Shared memory of a cluster on this machine: what goes to its workers are names and settings, never sound."""
BACKGROUND = 15
"""Niceness of work that can wait, which is Ray's own choice for all its workers."""


@contextlib.contextmanager
def joined(purpose: str, *, address: str | None = None, cores: int, niceness: int = BACKGROUND) -> Iterator[None]:
    """Within it, Ray can be used. A cluster that this process has joined already is left as it is.

    Args:
      purpose: what needs it, as a noun, for the error.
      address: of a running cluster, or "auto"; None starts one on this machine, without its dashboard, and ends it.
      cores: that a cluster on this machine counts, whatever the machine has.
      niceness: of its workers beyond this process's, on this machine; 0 for what must keep time.
    Raises:
      MissingExtraError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(purpose, "ray", "cluster") from error
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # whoever makes music has not agreed to be counted
    quiet = {"log_to_driver": False, "configure_logging": False}
    if address is not None:
        ray.init(address=address, **quiet)
    else:
        local = {"num_cpus": cores, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        local["_system_config"] = {"worker_niceness": niceness}
        with _compiling_once():
            try:
                ray.init(**quiet, **local)
            except Exception:  # Ray gives its own helpers 15 s, which a cold and busy machine may spend on compiling them
                ray.shutdown()
                ray.init(**quiet, **local)
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _compiling_once() -> Iterator[None]:
    """Processes that are started within it keep what Python compiles, whatever the environment says: Ray starts a dozen,
    each reads thousands of files, and some have 15 s for it."""
    name = "PYTHONDONTWRITEBYTECODE"
    said = os.environ.pop(name, None)
    try:
        yield
    finally:
        if said is not None:
            os.environ[name] = said


def reason_of(error: Exception) -> str:
    """The last line of a cluster's error, which is the worker's own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
