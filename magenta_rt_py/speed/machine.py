"""The machine a figure was measured on: processor, versions, load, memory."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

DEVICES = ("cpu", "gpu", "tpu")


def choose_device(kind: str | None) -> Any:
    """A JAX device of the wanted kind; None takes JAX's own choice.

    Raises:
      ValueError: if this JAX has no such device.
    """
    # The memory of a GPU is shared with the processes that measure the first sound: take only what is needed of it.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    if kind is None:
        return jax.devices()[0]
    try:
        return jax.devices(kind)[0]
    except RuntimeError as error:
        known = ", ".join(sorted({device.platform for device in jax.devices()} | {"cpu"}))
        raise ValueError(f"the device is {kind!r} and this JAX has only {known}; use one of these") from error


def describe_machine(device: Any = None) -> dict[str, Any]:
    """Processor, cores this process may use, memory, versions, and the load.

    Args:
      device: JAX device that is measured; None takes JAX's own choice.
    """
    import jax

    device = device or jax.devices()[0]
    return {
        "processor": processor_name(),
        "cores": cores(),
        "memory_megabytes": total_memory_megabytes(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("jax", "jaxlib", "flax", "numpy")},
        "backend": device.platform,
        "device": device.device_kind,
        "load_average": load_average(),
    }


def processor_name() -> str:
    """What the processor calls itself."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def cores() -> int | None:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def load_average() -> float | None:
    """Processes that ran or waited in the last minute, ours among them once we run; None where it cannot be told."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def total_memory_megabytes() -> float | None:
    """Main memory of the machine; None where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
    except (AttributeError, ValueError, OSError):
        return None


def peak_memory_megabytes() -> float | None:
    """Largest resident size of this process so far; None where it cannot be told."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def peak_device_memory_megabytes(device: Any) -> float | None:
    """Most memory in use on an accelerator so far; None on a CPU, whose memory is the process's."""
    statistics = device.memory_stats() or {}
    peak = statistics.get("peak_bytes_in_use")
    return None if peak is None else peak / 1e6
