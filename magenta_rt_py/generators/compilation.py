"""The compilation cache: what JAX compiled once is read from disk the next time, so that the first sound comes soon."""

from __future__ import annotations

import os
from pathlib import Path

SWITCH = "MRT_COMPILATION_CACHE"
"""Environment variable: "off" disables the cache, a path moves it."""


def cache_path() -> Path | None:
    """Where compiled programs are kept; None if the user switched the cache off.

    Default: magenta_rt_py/compiled in the user's cache folder (XDG_CACHE_HOME, else ~/.cache).
    """
    chosen = os.environ.get(SWITCH, "").strip()
    if chosen.lower() in ("off", "0", "no"):
        return None
    if chosen:
        return Path(chosen).expanduser()
    home = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(home) if home else Path.home() / ".cache") / "magenta_rt_py" / "compiled"


def use_cache() -> Path | None:
    """Turns JAX's persistent compilation cache on, unless the user or the program has already chosen one.

    Returns:
      the folder in use, None if there is none. A folder that cannot be made is no error: it costs time only.
    """
    import jax

    chosen = jax.config.jax_compilation_cache_dir
    if chosen:
        return Path(chosen)
    path = cache_path()
    if path is None:
        return None
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return path
