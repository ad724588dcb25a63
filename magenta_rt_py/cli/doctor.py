"""`mrtpy doctor`: what is installed, on what it runs, and whether the starter keeps up with real time here."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import time
from typing import Any

import numpy as np

from magenta_rt_py import __version__
from magenta_rt_py.cli.options import add_bundle_option
from magenta_rt_py.cli.report import add_json_option, emit, end_progress, progress
from magenta_rt_py.errors import BundleError

CORE = ("jax", "jaxlib", "flax", "numpy", "numba", "soundfile", "soxr", "safetensors", "sentencepiece", "jaxtyping")
EXTRAS = {  # extra -> modules that it brings
    "plot": ("matplotlib",),
    "train": ("optax", "orbax.checkpoint", "librosa", "sklearn", "tensorboardX", "scipy", "tqdm"),
    "ui": ("gradio", "fastapi", "uvicorn"),
    "audio": ("sounddevice",),
    "midi": ("mido",),
    "osc": ("pythonosc",),
    "released": ("huggingface_hub", "tensorstore", "tensorflow"),
}
TIMED_REQUESTS = 12
COMFORTABLE_RTF = 1.5
"""Below this a live stream has little reserve for a busy moment."""


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "doctor",
        help="what is installed, and does the model run in real time here",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--requests", type=int, default=TIMED_REQUESTS, help=f"2 s requests to time (default {TIMED_REQUESTS})"
    )
    add_bundle_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Looks at everything and says what to do. A machine that is too slow is a finding, not an error."""
    if arguments.requests < 2:
        raise ValueError(f"--requests is {arguments.requests}; give 2 or more")
    report: dict[str, Any] = {
        "command": "doctor",
        "versions": versions(),
        "extras": extras(),
        "machine": machine(),
        "bundle": inspect_bundle(arguments.bundle),
    }
    if report["bundle"]["ok"]:
        report["speed"] = measure_speed(arguments)
    report["advice"] = advice(report)
    emit(arguments, report, _lines(report))
    return 0 if report["bundle"]["ok"] else 2


def versions() -> dict[str, str | None]:
    """Versions of this package and of what it needs; None where something is missing."""
    found: dict[str, str | None] = {"magenta_rt_py": __version__, "python": platform.python_version()}
    for name in CORE:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def extras() -> dict[str, dict[str, Any]]:
    """Optional parts: which are there, what is missing, and the line that installs it."""
    found = {}
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if not _is_installed(module)]
        found[extra] = {"ok": not missing, "missing": missing, "install": f"pip install 'magenta-rt-py[{extra}]'"}
    return found


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a parent package
        return False


def machine() -> dict[str, Any]:
    """Processor, memory, JAX's devices, and the cache for compiled programs."""
    import jax

    from magenta_rt_py.generators.compilation import SWITCH, cache_path

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    path = cache_path()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "compilation_cache": str(path) if path else f"off ({SWITCH})",
        "compiled_programs": len(list(path.glob("*"))) if path and path.is_dir() else 0,
    }


def inspect_bundle(location: Any) -> dict[str, Any]:
    """Whether the bundle is there and whole."""
    from magenta_rt_py.bundle import load_bundle, starter_path

    path = location or starter_path()
    try:
        bundle = load_bundle(path)
    except BundleError as error:
        return {"ok": False, "path": str(path), "problem": str(error)}
    size = sum(file.stat().st_size for file in bundle.path.iterdir() if file.is_file())
    return {"ok": True, "path": str(path), "parts": sorted(bundle.configs), "megabytes": size / 1e6}


def measure_speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Times loading, the first sound, and some requests of 2 s."""
    began = time.perf_counter()
    progress(arguments, "loading and compiling")
    from magenta_rt_py.generators import system
    from magenta_rt_py.generators.state import CHUNK_FRAMES, FRAME_RATE_HZ

    model = system.load(arguments.bundle)
    stream = model.stream(model.mix({"lofi hip hop": 1.0}), seed=0)
    stream.next_chunk()
    first_sound = time.perf_counter() - began
    seconds = []
    for index in range(arguments.requests):
        progress(arguments, f"request {index + 1} of {arguments.requests}")
        started = time.perf_counter()
        stream.next_chunk()
        seconds.append(time.perf_counter() - started)
    end_progress(arguments)
    chunk_seconds = CHUNK_FRAMES / FRAME_RATE_HZ
    return {
        "first_sound_seconds": first_sound,
        "rtf": chunk_seconds * len(seconds) / sum(seconds),
        "request_p50_seconds": float(np.percentile(seconds, 50)),
        "request_p95_seconds": float(np.percentile(seconds, 95)),
        "requests": len(seconds),
        "guidance_weight": stream.controls.guidance_weight,
        "real_time": bool(np.percentile(seconds, 95) < chunk_seconds),
    }


def advice(report: dict[str, Any]) -> list[str]:
    """What to do, most urgent first; empty if all is well."""
    lines = []
    missing = [name for name, version in report["versions"].items() if version is None]
    if missing:
        lines.append(f"missing: {', '.join(missing)}; run pip install --force-reinstall magenta-rt-py")
    if not report["bundle"]["ok"]:
        lines.append(f"{report['bundle']['problem']}")
    speed = report.get("speed")
    if speed and speed["rtf"] < COMFORTABLE_RTF:
        lines.append(
            f"RTF {speed['rtf']:.2f} leaves {'no' if speed['rtf'] < 1 else 'little'} reserve: close other programs "
            f"(load now {report['machine']['load_average']}), or use a "
            "GPU: pip install 'jax[cuda13]'"
        )
    return lines


def _lines(report: dict[str, Any]) -> list[str]:
    found, bundle, speed = report["machine"], report["bundle"], report.get("speed")
    lines = [
        "versions: " + ", ".join(f"{name} {version or 'MISSING'}" for name, version in report["versions"].items()),
        f"machine: {found['system']}, {found['cores']} cores, load {found['load_average']}, "
        f"JAX on {found['backend']} ({', '.join(found['devices'])})",
        f"compiled programs: {found['compiled_programs']} in {found['compilation_cache']}",
    ]
    for extra, state in report["extras"].items():
        lines.append(
            f"extra {extra}: " + ("ok" if state["ok"] else f"without {', '.join(state['missing'])}: {state['install']}")
        )
    lines.append(
        f"bundle: {bundle['path']}, {bundle['megabytes']:.1f} MB, hashes match"
        if bundle["ok"]
        else "bundle: NOT USABLE"
    )
    if speed:
        lines.append(
            f"speed: RTF {speed['rtf']:.2f}, 2 s request p50 {speed['request_p50_seconds']:.2f} s p95 "
            f"{speed['request_p95_seconds']:.2f} s, first sound after {speed['first_sound_seconds']:.1f} s: "
            + ("runs in real time here" if speed["real_time"] else "does NOT run in real time here")
        )
    return lines + [f"do: {line}" for line in report["advice"]]
