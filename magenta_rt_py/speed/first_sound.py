"""Time to the first sound: from starting Python to the first chunk, each try in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from magenta_rt_py.speed.machine import load_average
from magenta_rt_py.speed.timing import Say

PROMPT = "lofi hip hop"
PROGRAM = f"""
import sys
import magenta_rt_py as mrt
model = mrt.load(sys.argv[1] if len(sys.argv) > 1 else None)
model.stream(model.mix({{{PROMPT!r}: 1.0}})).next_chunk()
"""
"""Plays a bundle: its one argument, or the starter."""


def first_sound(program: str = PROGRAM, arguments: Sequence[str] = (), *, say: Say | None = None) -> dict[str, float | None]:
    """Seconds from a new Python process to its first 2 s chunk, with an empty cache and then with the filled one.

    Args:
      program: Python source that makes one chunk and ends.
      arguments: the program's.
      say: told about progress.
    Raises:
      RuntimeError: if the program fails, with the last lines it said.
    """
    figures: dict[str, float | None] = {"load_average": load_average()}
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "jax"
        compiled.mkdir()
        # Numba keeps what it compiled for the codec's phase stage in a cache of its own; so does Python, without which
        # every import is compiled anew.
        environment = {
            **os.environ,
            "MRT_COMPILATION_CACHE": str(compiled),
            "NUMBA_CACHE_DIR": str(Path(folder) / "numba"),
            "PYTHONPYCACHEPREFIX": str(Path(folder) / "python"),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        for name in ("empty_cache", "filled_cache"):
            started = time.perf_counter()
            command = [sys.executable, "-c", program, *arguments]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"the program that makes the first sound failed: {done.stderr[-2000:]}")
            figures[name] = time.perf_counter() - started
            if say:
                say(f"first sound, {name.replace('_', ' ')}: {figures[name]:.1f} s")
    return figures
