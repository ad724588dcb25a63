"""Cluster: joins a Ray cluster that runs, or starts one on this machine for as long as it is needed. Stateful shell."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from magenta_rt_py.errors import MissingExtraError

__all__ = ["joined", "reason_of"]

OBJECT_STORE_BYTES = 200 * 2**20
"""Shared memory of a cluster on this machine: what goes to its workers are names and settings, never sound."""


@contextlib.contextmanager
def joined(purpose: str, *, address: str | None = None, cores: int) -> Iterator[None]:
    """Within it, Ray can be used. A cluster that this process has joined already is left as it is.

    Args:
      purpose: what needs it, as a noun, for the error.
      address: of a running cluster, or "auto"; None starts one on this machine, without its dashboard, and ends it.
      cores: that a cluster on this machine counts, whatever the machine has.
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
        try:
            ray.init(**quiet, **local)
        except Exception:  # Ray gives its own helpers 15 s, which a cold and busy machine may spend on reading their files
            ray.shutdown()
            ray.init(**quiet, **local)
    try:
        yield
    finally:
        ray.shutdown()


def reason_of(error: Exception) -> str:
    """The last line of a cluster's error, which is the worker's own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
