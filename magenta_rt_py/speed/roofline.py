"""How fast a request could be at most: what it costs over what the machine can do, both measured in the same run.

A part of a model can be no faster than its bytes at the machine's bandwidth, nor than its multiply-adds at the machine's
rate; the larger of the two times bounds it. Parts follow one another, so the bounds add up.
Source: Williams, Waterman and Patterson 2009, "Roofline".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from magenta_rt_py.speed.codec_cost import decoder_cost
from magenta_rt_py.speed.cost import Cost, lm_costs, refinement_cost
from magenta_rt_py.speed.subject import Subject

REPEATS = 5
"""Tries of each measurement; the best counts."""
BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
FLOAT32_PARTS = ("averaging", "refinement", "codec")
"""Whatever the type of the language model is."""
LOOP_PARTS = ("temporal", "depth", "heads")
"""Whose weights the frame loop reads as it stores them (`lm.frame_loop`)."""
STREAMED_MEGABYTES = {"cpu": 256, "gpu": 2_048, "tpu": 1_024}
"""Read to measure the bandwidth: several times what any cache holds."""
MATRIX_SIDE = {"cpu": 2_048, "gpu": 8_192, "tpu": 8_192}
"""Of the square matrices that are multiplied to measure the rate."""


class Rates(NamedTuple):
    """What the machine can do, best of several tries."""

    bytes_per_second: float
    """To and from main memory (of the GPU, if it is one)."""
    multiply_adds_per_second: float
    """In matrix products of the language model's type."""
    exact_multiply_adds_per_second: float
    """In float32 without rounding on the way, as the codec computes."""


class Bound(NamedTuple):
    """The least time one part can take."""

    memory_seconds: float
    """Its bytes at the machine's bandwidth, every weight read each time it is used."""
    on_chip_seconds: float
    """The same if its weights are read once and stay on the chip."""
    compute_seconds: float
    """Its multiply-adds at the machine's rate."""

    @property
    def seconds(self) -> float:
        """The larger of memory and compute."""
        return max(self.memory_seconds, self.compute_seconds)

    @property
    def least_seconds(self) -> float:
        """The same if the chip holds the weights."""
        return max(self.on_chip_seconds, self.compute_seconds)


def request_costs(subject: Subject, frames: int, *, streams: int = 1) -> dict[str, Cost]:
    """Costs of all parts of one request."""
    models = subject.models
    code_dim = 0 if models.averaged is None else models.averaged.vectors.shape[-1]
    costs = lm_costs(models.lm_config, frames, streams=streams, code_dim=code_dim)
    if models.refinement_config is not None:
        costs["refinement"] = refinement_cost(models.refinement_config, frames, streams=streams)
    costs["codec"] = decoder_cost(models.codec.config, frames, streams=streams)
    return costs


def bounds(costs: Mapping[str, Cost], rates: Rates, dtype: str, loop_storage: str | None = None) -> dict[str, Bound]:
    """Bounds of every part.

    Args:
      costs: by part, from `request_costs`.
      dtype: of the language model; FLOAT32_PARTS are not of it.
      loop_storage: of the weights that the frame loop reads; None where XLA makes the frames.
    """
    found = {}
    for part, cost in costs.items():
        rate = rates.exact_multiply_adds_per_second if part in FLOAT32_PARTS else rates.multiply_adds_per_second
        sizes = _sizes(part, dtype, loop_storage)
        found[part] = Bound(
            cost.bytes(*sizes) / rates.bytes_per_second,
            cost.bytes_on_chip(*sizes) / rates.bytes_per_second,
            cost.multiply_adds / rate,
        )
    return found


def _sizes(part: str, dtype: str, loop_storage: str | None) -> tuple[int, int]:
    """Bytes of a weight, and of any other number, in a part."""
    moved = BYTES["float32" if part in FLOAT32_PARTS else dtype]
    return (moved if loop_storage is None or part not in LOOP_PARTS else BYTES[loop_storage]), moved


def describe(
    costs: Mapping[str, Cost], rates: Rates, dtype: str, frames: int, loop_storage: str | None = None
) -> dict[str, Any]:
    """Costs and bounds of a request, a frame each, for a report; arguments as of `bounds`."""
    found = bounds(costs, rates, dtype, loop_storage)
    parts = {}
    for part, cost in costs.items():
        bound = found[part]
        parts[part] = {
            "weights": cost.weights,
            "passes": cost.passes,
            "megabytes_a_frame": cost.bytes(*_sizes(part, dtype, loop_storage)) / frames / 1e6,
            "million_multiply_adds_a_frame": cost.multiply_adds / frames / 1e6,
            "bound_milliseconds_a_frame": 1e3 * bound.seconds / frames,
            "limit": "memory" if bound.memory_seconds > bound.compute_seconds else "compute",
        }
    return {
        "parts": parts,
        "bound_seconds": sum(bound.seconds for bound in found.values()),
        "bound_seconds_on_chip": sum(bound.least_seconds for bound in found.values()),
    }


def measure_rates(dtype: str, kind: str, *, megabytes: int | None = None, side: int | None = None) -> Rates:
    """Bandwidth and multiply-add rates of JAX's default device.

    Args:
      dtype: of the language model.
      kind: "cpu", "gpu" or "tpu".
      megabytes, side: size of the measurement; None takes the kind's.
    """
    megabytes = megabytes or STREAMED_MEGABYTES[kind]
    side = side or MATRIX_SIDE[kind]
    exact = _multiply_adds_per_second("float32", side, "highest")
    # On a CPU float32 products are exact anyway: measured once, the same work does not get two rates.
    same = dtype == "float32" and kind == "cpu"
    return Rates(_bandwidth(megabytes), exact if same else _multiply_adds_per_second(dtype, side, "default"), exact)


def _bandwidth(megabytes: int) -> float:
    """Bytes a second: the best of a change in place, a sum, and a product of two rows with a matrix, as in decoding."""
    columns = 4096
    lines = max(1, megabytes * 1_000_000 // (4 * columns))
    matrix = jnp.ones((lines, columns), jnp.float32)
    rows = jnp.ones((2, lines), jnp.float32)
    bytes_read = matrix.nbytes
    total = jax.jit(lambda matrix: matrix.sum())
    product = jax.jit(lambda rows, matrix: rows @ matrix)
    reading = [bytes_read / _best_seconds(lambda: total(matrix)), bytes_read / _best_seconds(lambda: product(rows, matrix))]
    place = [matrix]
    del matrix
    change = jax.jit(lambda matrix: matrix + 1.0, donate_argnums=0)  # in place: no page is touched for the first time

    def change_in_place() -> jax.Array:
        place[0] = change(place[0])
        return place[0]

    return max(*reading, 2 * bytes_read / _best_seconds(change_in_place))


def _multiply_adds_per_second(dtype: str, side: int, precision: str) -> float:
    matrix = jnp.full((side, side), 0.5, dtype)
    with jax.default_matmul_precision(precision):
        product = jax.jit(lambda left, right: left @ right)
        return side**3 / _best_seconds(lambda: product(matrix, matrix))


def _best_seconds(run: Callable[[], Any]) -> float:
    run().block_until_ready()  # compiles
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run().block_until_ready()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
