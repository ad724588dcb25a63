"""Where a result comes from: the source that made it, and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax
import numpy as np

from magenta_rt_py import __version__

_CHECKOUT = Path(__file__).resolve().parents[2]


def source_state() -> dict[str, Any]:
    """Version of the package and, in a git checkout, its commit and whether files differ from it."""
    state: dict[str, Any] = {"version": __version__}
    commit = _git("rev-parse", "HEAD")
    if commit:
        state |= {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    return state


def machine_state() -> dict[str, Any]:
    """The machine and the libraries that trained, without names of people or hosts."""
    return {
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
    }


def _git(*arguments: str) -> str:
    """Standard output of a git command in the checkout; empty where there is no git or no checkout."""
    if not (_CHECKOUT / ".git").exists():
        return ""  # installed, perhaps inside someone else's checkout, whose commit says nothing of this package
    try:
        done = subprocess.run(["git", *arguments], cwd=_CHECKOUT, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
