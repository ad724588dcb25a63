"""One forward of the language model at the released Base geometry: how long it takes, and how much memory.

    python benchmarks/base_forward.py [--size large]

Random weights under the checkpoint's names go through `lm.load`, then 1006 encoder tokens and 800 target tokens of one
sequence through `lm.logits`, compiled once and run twice. Prints JSON; `peak_gb` is the process's largest resident size.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time

import jax
import numpy as np

from magenta_rt_py import lm
from magenta_rt_py.lm.config import LMConfig, base, large
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.lm.vocabulary import codes_to_tokens, encoder_inputs
from magenta_rt_py.speed.machine import peak_memory_megabytes

SIZES = {"base": base, "large": large}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", choices=sorted(SIZES), default="base")
    config = SIZES[parser.parse_args().size]()
    report: dict[str, object] = {"dim": config.dim, "backend": jax.default_backend()}
    started = time.perf_counter()
    params = lm.load(random_tensors(config), config)
    report |= {"load_seconds": time.perf_counter() - started, "peak_gb_after_load": peak_gigabytes()}
    report["parameters"] = sum(math.prod(shape) for shape in parameter_shapes(config).values())
    encoder_tokens, targets = random_tokens(config)
    forward = jax.jit(lambda params, inputs, outputs: lm.logits(params, inputs, outputs, config))
    for name in ("first_seconds", "forward_seconds"):  # the first compiles
        started = time.perf_counter()
        logits = forward(params, encoder_tokens, targets).block_until_ready()
        report[name] = time.perf_counter() - started
    report |= {"logits": list(logits.shape), "finite": bool(np.isfinite(logits).all()), "peak_gb": peak_gigabytes()}
    json.dump(report, sys.stdout, indent=1)
    print()


def random_tensors(config: LMConfig) -> dict[str, np.ndarray]:
    """Weights by slash path, as a bundle gives them; their size does not matter, but nothing may overflow."""
    generator = np.random.default_rng(0)
    flat = {}
    for path, shape in parameter_shapes(config).items():
        flat[path] = generator.standard_normal(shape, np.float32) if len(shape) > 1 else np.ones(shape, np.float32)
        if len(shape) > 1:
            flat[path] *= np.float32(0.3 / math.sqrt(shape[0]))
    return flat


def random_tokens(config: LMConfig) -> tuple[np.ndarray, np.ndarray]:
    """Encoder and target tokens of one sequence."""
    generator = np.random.default_rng(1)
    context = generator.integers(0, config.codebook_size, (1, config.context_frames, config.num_levels))
    style = generator.integers(0, config.codebook_size, (1, config.style_levels))
    codes = generator.integers(0, config.codebook_size, (1, config.chunk_frames, config.num_levels))
    return encoder_inputs(context, style, config), codes_to_tokens(codes, config).reshape(1, -1)


def peak_gigabytes() -> float | None:
    """Largest resident size of this process so far, in 10^9 bytes."""
    peak = peak_memory_megabytes()
    return None if peak is None else peak / 1e3


if __name__ == "__main__":
    main()
