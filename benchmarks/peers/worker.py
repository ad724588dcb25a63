"""A process that holds models and runs them when told: what ours.py and theirs.py share. Needs nothing but Python.

Lines of JSON come in and go out:

    {"do": "load", "model": "base", "seconds": 2.0, "dtype": "float32", "tiny": false}    what the model is
    {"do": "run", "model": "base", "run": "generate"}                 {"seconds": 1.5, "audio_seconds": 2.0}
    {"do": "drop"}                                                    {}: nothing is held any more
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import IO, Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """How a model is to be loaded."""

    seconds: float  # of audio that a run makes or reads
    dtype: str  # of a language model: "float32" or "bfloat16"
    tiny: bool  # as small as can be, to try the program out


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model, ready to run."""

    parameters: int  # numbers in all that runs
    core_parameters: int  # of these, in the part that makes the tokens; of a codec: all
    sample_rate: int  # samples a second
    channels: int
    bits_per_second: float  # of the codes that stand for the sound
    runs: Mapping[str, Callable[[], float]]  # each gives the seconds of audio that it made or read
    note: str = ""  # what a reader must know to compare


Load = Callable[[Order], Loaded]


def serve(models: Mapping[str, Load], versions: Mapping[str, str], *, source: IO[str] | None = None) -> None:
    """Answers orders until the input ends.

    Args:
      models: by name.
      versions: of the libraries, told with every model.
      source: lines of orders; None is standard input.
    """
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    held: dict[str, Loaded] = {}
    with contextlib.redirect_stdout(sys.stderr), answers:
        for line in source or sys.stdin:
            try:
                answer = _answer(json.loads(line), models, versions, held)
            except Exception as error:  # told to the other side, which decides
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _answer(
    order: dict[str, Any], models: Mapping[str, Load], versions: Mapping[str, str], held: dict[str, Loaded]
) -> dict[str, Any]:
    if order["do"] == "drop":
        held.clear()
        gc.collect()
        return {}
    name = order["model"]
    if order["do"] == "load":
        loaded = models[name](Order(seconds=order["seconds"], dtype=order["dtype"], tiny=order["tiny"]))
        held[name] = loaded
        told = {field.name: getattr(loaded, field.name) for field in dataclasses.fields(loaded) if field.name != "runs"}
        return {**told, "runs": list(loaded.runs), "versions": dict(versions)}
    run = held[name].runs[order["run"]]
    started = time.perf_counter()
    audio_seconds = run()
    return {"seconds": time.perf_counter() - started, "audio_seconds": audio_seconds}
