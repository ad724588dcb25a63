"""Proves what arrives behind a sound server: plays live to a PulseAudio device that leads nowhere, records it from the
other end with another program, and compares every sample with the performance's own recording. Prints JSON.

    python benchmarks/content.py [--seconds 120] [--buffer 0.4] [--latency 0.3] [--bundle DIR]

The performance and the server are this machine's and end with the program. Needs pulseaudio, parec and ALSA's pulse plugin.

compared_seconds: sound of the recording that was found at the other end; lost and repeated are samples by which the place
moved from one tenth of a second to the next; worst_db: the largest difference of two samples, of full scale. The server is
not the engine: a loss names where it was, `underruns` and `device_gaps` say what the performance itself knew of.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float

SAMPLES_A_SECOND = 48_000
PIECE_SAMPLES = 4800
"""Compared at once."""
SEARCH_SAMPLES = 96_000
"""How far a place is looked for around where it should be."""
SAME = 1e-4
"""Largest difference of equal samples: the recording has 24 bits, the limiter's output goes through once."""
PATIENCE_SECONDS = 20.0
MODULES = (
    "module-native-protocol-unix auth-anonymous=1",
    "module-null-sink sink_name=nowhere rate=48000 channels=2 format=float32le",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="of music (default 120)")
    parser.add_argument("--buffer", type=float, default=0.4, help="seconds in front of the device (default 0.4)")
    parser.add_argument("--latency", default="0.3", help="what PortAudio is asked for: low, high or seconds (default 0.3)")
    parser.add_argument("--bundle", help="default: the starter")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments, Path(folder)), indent=1))


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Runs server, listener and performance; compares."""
    private = {name: str(folder) for name in ("XDG_RUNTIME_DIR", "HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    environment = {**os.environ, **private, "PULSE_RUNTIME_PATH": str(folder / "pulse")}
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--realtime=no", "--high-priority=no"]
    server = start([*command, *(part for module in MODULES for part in ("-L", module))], environment)
    try:
        wait_for(["pactl", "info"], environment)
        take, heard = folder / "take.flac", folder / "heard"
        listen = ["parec", "--device=nowhere.monitor", "--format=float32le", "--rate=48000", "--channels=2", "--raw"]
        with open(heard, "wb") as file:
            listener = subprocess.Popen(listen, env=environment, stdout=file, stderr=subprocess.DEVNULL)
            try:
                report = perform(arguments, take, environment)
                time.sleep(1.0)
            finally:
                end(listener)
        sound, _ = soundfile.read(take, dtype="float32", always_2d=True)
        came = np.fromfile(heard, np.float32)
        return {**report, **compare(sound, came[: len(came) // 2 * 2].reshape(-1, 2))}
    finally:
        end(server)


def perform(arguments: argparse.Namespace, take: Path, environment: dict[str, str]) -> dict[str, Any]:
    """One `mrtpy bench live` on the server; what it says of itself."""
    command = [sys.executable, "-m", "magenta_rt_py", "bench", "live", "--device", "pulse", "--json"]
    command += ["--seconds", f"{arguments.seconds:g}", "--buffer", f"{arguments.buffer:g}", "--latency", arguments.latency]
    command += ["--record", str(take), "--log", str(take.with_suffix(".jsonl"))]
    command += ["--bundle", arguments.bundle] if arguments.bundle else []
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=arguments.seconds * 3 + 300)
    said = json.loads(done.stdout)
    wanted = ("machine", "seconds", "underruns", "missing_seconds", "device_gaps")
    return {**{name: said[name] for name in wanted}, "openings": said["device"]["openings"]}


def compare(sound: Float[np.ndarray, "samples 2"], came: Float[np.ndarray, "heard 2"]) -> dict[str, Any]:
    """Where each piece of the recording is at the other end."""
    place, moves, worst, missing, pieces = None, [], 0.0, 0, 0
    for start in range(0, len(sound) - PIECE_SAMPLES + 1, PIECE_SAMPLES):
        piece = sound[start : start + PIECE_SAMPLES]
        if np.abs(piece).max() < 0.01:
            continue  # silence is everywhere
        pieces += 1
        found, difference = find(piece, came, place)
        if found is None:
            missing += 1
            continue
        worst = max(worst, difference)
        if place is not None and found != place:
            moves.append((start / SAMPLES_A_SECOND, found - place))
        place = found + PIECE_SAMPLES
    return {
        "compared_seconds": (pieces - missing) * PIECE_SAMPLES / SAMPLES_A_SECOND,
        "not_found_seconds": missing * PIECE_SAMPLES / SAMPLES_A_SECOND,
        "moves": moves,
        "worst_db": 20.0 * math.log10(max(worst, 1e-9)),
    }


def find(
    piece: Float[np.ndarray, "piece 2"], came: Float[np.ndarray, "heard 2"], place: int | None
) -> tuple[int | None, float]:
    """Place of a piece, and the largest difference there; None if it is nowhere."""
    if place is not None and place + len(piece) <= len(came):
        difference = float(np.abs(came[place : place + len(piece)] - piece).max())
        if difference < SAME:
            return place, difference
    first = 0 if place is None else max(0, place - SEARCH_SAMPLES)
    last = len(came) if place is None else min(len(came), place + SEARCH_SAMPLES + len(piece))
    if last - first < len(piece):
        return None, math.inf
    size = 2 ** math.ceil(math.log2(last - first + len(piece)))
    match = np.fft.irfft(np.fft.rfft(came[first:last, 0], size) * np.conj(np.fft.rfft(piece[:, 0], size)), size)
    for best in np.argsort(-match[: last - first - len(piece) + 1])[:5]:
        difference = float(np.abs(came[first + best : first + best + len(piece)] - piece).max())
        if difference < SAME:
            return int(first + best), difference
    return None, math.inf


def start(command: list[str], environment: dict[str, str]) -> subprocess.Popen:
    """A server without output."""
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere)


def wait_for(command: list[str], environment: dict[str, str]) -> None:
    """Until a command succeeds."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while subprocess.run(command, env=environment, capture_output=True).returncode:
        if time.monotonic() > ends:
            raise RuntimeError(f"{' '.join(command)} never succeeded; is pulseaudio installed?")
        time.sleep(0.1)


def end(process: subprocess.Popen) -> None:
    """Ends what was started here."""
    process.terminate()
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
