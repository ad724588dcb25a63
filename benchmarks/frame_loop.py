"""Measures the frame loop for CPUs against XLA's, on one bundle and in one process, and prints JSON.

    python benchmarks/frame_loop.py [--bundle DIR] [--repeats 15] [--out FILE]

Figures: milliseconds of the language model for requests of 10, 20 and 50 frames, and of whole requests of 2 s and 0.4 s,
made by XLA, by the loop in float32 and by the loop in int8, in turn, so that a busy machine slows all three; how the codes
and scores of the loop differ from XLA's; how many kernels have in int8 the very numbers that the bundle stores; and
seconds from packing to the first request, compiled or read from numba's cache.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

import magenta_rt_py as mrt
from magenta_rt_py.generators import codec_lm
from magenta_rt_py.generators.packed_decoders import PackedDecoders
from magenta_rt_py.lm import decode, narrow_decode, packing
from magenta_rt_py.lm.sampling import SamplingConfig
from magenta_rt_py.lm.vocabulary import codec_offset
from magenta_rt_py.speed.machine import describe_machine, load_average

LENGTHS = (10, 20, 50)
CHUNK_FRAMES, HOP_FRAMES = 50, 10
COMPARED_FRAMES = 250
PROMPT = "techno"


def main(argv: list[str] | None = None) -> int:
    """Runs all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bundle", type=Path, help="model bundle (default: the starter)")
    parser.add_argument("--repeats", type=int, default=15, help="requests of each kind (default 15)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    arguments = parser.parse_args(argv)
    model = mrt.load(arguments.bundle)
    if model.models.packed_decoders is None:
        print("the frame loop is not for this model on this machine: see lm.narrow_decode.can_loop", file=sys.stderr)
        return 1
    ways = {"xla": dataclasses.replace(model.models, packed_decoders=None)}
    first: dict[str, float] = {}
    for storage in packing.STORAGES:
        decoders = PackedDecoders(model.models.lm_config, model.models.averaged, storage)
        ways[storage] = dataclasses.replace(model.models, packed_decoders=decoders)
        first[storage] = first_request(ways[storage])
    report = {
        "command": " ".join(sys.argv),
        "machine": describe_machine(),
        "first_request_seconds": first,
        "stored_kernels": stored_kernels(model),
        "codes": {name: compare_codes(model, ways, **knobs) for name, knobs in KNOBS.items()},
        "scores": compare_scores(model),
        "language_model": {frames: time_language_model(ways, frames, arguments.repeats) for frames in LENGTHS},
        "requests": {frames: time_requests(model, ways, frames, arguments.repeats) for frames in (CHUNK_FRAMES, HOP_FRAMES)},
        "load_average": load_average(),
    }
    text = json.dumps(report, indent=2, allow_nan=False)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0


KNOBS: dict[str, dict[str, float]] = {
    "greedy": {"temperature": 0.0, "guidance_weight": 0.5},
    "drawn": {"temperature": 0.9, "top_k": 0, "guidance_weight": 0.5},
}


def first_request(models: Any) -> float:
    """Seconds of packing and one request; JAX's part has been compiled before."""
    inputs = request(models, 1)
    jax.block_until_ready(narrow_decode.inputs_of(models.lm_params, models.lm_config, *inputs, frames=1))
    started = time.perf_counter()
    make(models, 1, inputs)
    return time.perf_counter() - started


def request(models: Any, frames: int, **knobs: Any) -> tuple[Any, Any, Any]:
    """A request with a random context: rows, controls, key."""
    config = models.lm_config
    tokens = np.random.default_rng(0).integers(8, config.codebook_size, (2, config.encoder_tokens)).astype(np.int32)
    return tokens, decode.make_controls(config, frames, SamplingConfig(**knobs)), jax.random.key(0)


def make(models: Any, frames: int, inputs: tuple[Any, Any, Any]) -> np.ndarray:
    """Codes of a request."""
    packed = models.packed_of(models.lm_params)
    arguments = models.lm_params, models.lm_config, *inputs
    return np.asarray(decode.generate(*arguments, frames=frames, averaged=models.averaged, packed=packed))


def time_language_model(ways: dict[str, Any], frames: int, repeats: int) -> dict[str, float]:
    """Milliseconds of the language model."""
    inputs = request(next(iter(ways.values())), frames, **KNOBS["drawn"])
    return in_turn({name: lambda models=models: make(models, frames, inputs) for name, models in ways.items()}, repeats)


def time_requests(model: Any, ways: dict[str, Any], frames: int, repeats: int) -> dict[str, float]:
    """Milliseconds of requests of a warm stream, sound included."""
    stream = model.stream(model.mix({PROMPT: 1.0}), seed=0)
    while not stream.is_warm:
        stream.next_chunk()
    state, style, controls = stream.state, stream.style.codes, stream.controls

    def run(models: Any) -> None:
        codec_lm.generate_chunk(models, state, style, controls, frames=frames)

    return in_turn({name: lambda models=models: run(models) for name, models in ways.items()}, repeats)


def in_turn(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each, and how many times faster than XLA the others are."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if repeat:  # the first may compile
                seconds[name].append(time.perf_counter() - started)
    medians = {name: float(np.median(values)) * 1000 for name, values in seconds.items()}
    # Of neighbours in time, so that the load is the same.
    ratios = {
        f"xla / {name}": float(np.median(np.array(seconds["xla"]) / np.array(values)))
        for name, values in seconds.items()
        if name != "xla"
    }
    return {**medians, **ratios}


def compare_codes(model: Any, ways: dict[str, Any], **knobs: Any) -> dict[str, Any]:
    """Share of equal codes over five requests of 50 frames, each way hearing what XLA made."""
    stream = model.stream(model.mix({PROMPT: 1.0}), seed=0).state
    controls = dataclasses.replace(model.defaults, **knobs)
    style, levels = model.mix({PROMPT: 1.0}).codes, model.models.lm_config.num_levels
    equal: dict[str, list[np.ndarray]] = {name: [] for name in ways if name != "xla"}
    for _ in range(COMPARED_FRAMES // CHUNK_FRAMES):
        state, made = codec_lm.generate_chunk(ways["xla"], stream, style, controls)
        for name, matches in equal.items():
            _, other = codec_lm.generate_chunk(ways[name], stream, style, controls)
            matches.append(other.codes[:, :levels] == made.codes[:, :levels])
        stream = state
    return {name: float(np.concatenate(matches).mean()) for name, matches in equal.items()}


def compare_scores(model: Any) -> dict[str, float]:
    """Of the head in int8, weights alone: root mean square difference of the scores, and that of the scores themselves."""
    config, params = model.models.lm_config, model.models.lm_params
    flat = flatten_dict(params, sep="/")
    kernel = np.array(flat["decoder/logits_dense/kernel"])
    heads = [kernel[:, ids] for ids in ids_of_levels(config)]
    for ids, head in zip(ids_of_levels(config), heads):
        kernel[:, ids] = packing.quantize(head).matrix
    rounded = unflatten_dict({**flat, "decoder/logits_dense/kernel": kernel}, sep="/")
    tokens, _, _ = request(model.models, 1)
    codes = np.random.default_rng(1).integers(0, config.codebook_size, (20, config.num_levels))
    targets = codes + [ids.start for ids in ids_of_levels(config)]
    scores = []
    for chosen in (params, rounded):
        every = np.asarray(decode.cached_logits(chosen, config, tokens[:1], targets.astype(np.int32)))[0]
        scores.append(np.stack([every[:, level, ids] for level, ids in enumerate(ids_of_levels(config))]))
    return {
        "difference_rms": float(np.sqrt(np.square(scores[1] - scores[0]).mean())),
        "difference_largest": float(np.abs(scores[1] - scores[0]).max()),
        "scores_deviation": float(scores[0].std(-1).mean()),
    }


def ids_of_levels(config: Any) -> list[slice]:
    """The ids of each level's codes."""
    first = [codec_offset(level, config) for level in range(config.num_levels)]
    return [slice(start, start + config.codebook_size) for start in first]


def stored_kernels(model: Any) -> dict[str, int]:
    """Kernels of the decoder whose int8 numbers and scales give back exactly what the bundle's give."""
    flat = flatten_dict(model.models.lm_params["decoder"]["decoder"], sep="/")
    kernels = [np.array(array) for path, array in flat.items() if path.endswith("kernel") and array.shape[0] > 64]
    same = [np.array_equal(packing.quantize(kernel).matrix, kernel) for kernel in kernels]
    return {"kernels": len(kernels), "the_same": int(sum(same))}


if __name__ == "__main__":
    sys.exit(main())
