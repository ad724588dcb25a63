"""Measures a model on a device: request times at several hops, batches of streams, first sound, memory, roofline."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any

import jax

from magenta_rt_py.generators.state import CHUNK_FRAMES, FRAME_RATE_HZ
from magenta_rt_py.speed import machine, roofline, timing
from magenta_rt_py.speed import subject as subjects
from magenta_rt_py.speed.first_sound import first_sound
from magenta_rt_py.speed.many import Batch
from magenta_rt_py.speed.subject import Subject
from magenta_rt_py.speed.timing import Say

PARTS_REQUESTS = 10
PROFILED_REQUESTS = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure."""

    size: str = "starter"
    bundle: Path | None = None
    dtype: str = "float32"
    storage: str | None = None  # of the weights that the frame loop of a CPU reads; None: see `subject.build`
    layers: int | None = None  # most layers a stack of base and large; None: whole
    device: str | None = None  # "cpu", "gpu" or "tpu"; None: JAX's choice
    hops: tuple[int, ...] = (50, 10, 5)  # frames of a request: 2, 0.4 and 0.2 s
    streams: tuple[int, ...] = ()  # sizes of batches
    batch_hop: int = CHUNK_FRAMES  # frames of a batch's requests
    requests: int = 200  # most requests a hop and a batch
    limit_seconds: float = 60.0  # most time a hop and a batch, compiling not counted
    has_first_sound: bool = True  # measured in two more processes
    profile: Path | None = None  # folder for a trace; None: no trace
    streamed_megabytes: int | None = None  # size of the bandwidth measurement; None: the device's
    matrix_side: int | None = None  # size of the rate measurement; None: the device's

    def __post_init__(self) -> None:
        subjects.check(self.size, dtype=self.dtype, storage=self.storage, layers=self.layers, bundle=self.bundle)
        if not self.hops or not all(1 <= frames <= CHUNK_FRAMES for frames in (*self.hops, self.batch_hop)):
            raise ValueError(f"hops are {self.hops} and {self.batch_hop} frames; give 1 to {CHUNK_FRAMES} each")
        if not all(1 <= streams <= 1024 for streams in self.streams):
            raise ValueError(f"streams are {self.streams}; give numbers from 1 to 1024")
        if not 1 <= self.requests <= 1_000_000:
            raise ValueError(f"requests is {self.requests}; give 1 to 1000000")
        if not (math.isfinite(self.limit_seconds) and self.limit_seconds > 0):
            raise ValueError(f"limit_seconds is {self.limit_seconds}; give seconds above 0")


def measure(plan: Plan, *, say: Say) -> dict[str, Any]:
    """Runs all measurements of a plan.

    Args:
      plan: what to measure.
      say: told about progress.
    Returns:
      a report of plain numbers and strings, ready for JSON.
    Raises:
      ValueError: if there is no such device.
    """
    device = machine.choose_device(plan.device)
    with jax.default_device(device):
        report: dict[str, Any] = {"machine": machine.describe_machine(device)}
        if plan.has_first_sound:
            report["first_sound_seconds"] = _first_sound(plan, say)
        say("measuring the machine")
        rates = roofline.measure_rates(
            plan.dtype, device.platform, megabytes=plan.streamed_megabytes, side=plan.matrix_side
        )
        report["rates"] = {
            "gigabytes_per_second": rates.bytes_per_second / 1e9,
            "giga_multiply_adds_per_second": rates.multiply_adds_per_second / 1e9,
            "exact_giga_multiply_adds_per_second": rates.exact_multiply_adds_per_second / 1e9,
        }
        say("building the model")
        subject = subjects.build(
            plan.size, dtype=plan.dtype, storage=plan.storage, layers=plan.layers, bundle=plan.bundle
        )
        report["model"] = subject.describe()
        report["hops"] = [_one_hop(subject, frames, plan, rates, say) for frames in plan.hops]
        whole = next((hop["p50_seconds"] for hop in report["hops"] if hop["hop_frames"] == CHUNK_FRAMES), None)
        report["parts_of_2_s_request"] = _parts(subject, plan, whole)
        report["batches"] = [_one_batch(subject, streams, plan, rates, say) for streams in plan.streams]
        report["streams_in_real_time"] = streams_in_real_time(report)
        report["memory"] = {
            "peak_process_megabytes": machine.peak_memory_megabytes(),
            "peak_device_megabytes": machine.peak_device_memory_megabytes(device),
        }
        if plan.profile is not None:
            report["profile"] = write_trace(subject, plan.hops[0], plan.profile)
    return report


def streams_in_real_time(report: dict[str, Any]) -> dict[str, Any]:
    """How many streams the device plays: one after another, and in one batch.

    A batch counts if it is faster than real time and 99 of 100 of its requests take less than the hop.
    """
    fastest = max(hop["rtf"] for hop in report["hops"])
    able = [
        batch["streams"]
        for batch in report["batches"]
        if batch["rtf"] >= 1.0 and batch["p99_seconds"] < batch["hop_seconds"]
    ]
    return {
        "one_after_another": int(fastest),
        "in_one_batch": max(able, default=None),
        "batches_tried": len(report["batches"]),
    }


def write_trace(subject: Subject, frames: int, folder: Path) -> dict[str, Any]:
    """Traces a few requests with JAX's profiler; TensorBoard's profile page and Perfetto show what is in the folder."""
    stream = subject.stream()
    stream.next_chunk(frames)
    more: dict[str, Any] = {}
    if hasattr(jax.profiler, "ProfileOptions"):  # jax 0.7 and later
        more["profiler_options"] = jax.profiler.ProfileOptions()
        more["profiler_options"].python_tracer_level = 0  # every Python call would be noted: megabytes that hide the rest
    with jax.profiler.trace(str(folder), **more):
        for number in range(PROFILED_REQUESTS):
            with jax.profiler.TraceAnnotation(f"request {number}"):
                stream.next_chunk(frames)
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    return {"folder": str(folder), "requests": PROFILED_REQUESTS, "hop_frames": frames, "files": len(written)}


def _first_sound(plan: Plan, say: Say) -> dict[str, float | None]:
    program = subjects.first_sound_program(plan.size, plan.bundle)
    if program == subjects.RANDOM_PROGRAM:
        names = ("size", "dtype", "storage", "layers", "device")
        fields = {name: getattr(plan, name) for name in names}
        return first_sound(program, [json.dumps(fields)], say=say)
    return first_sound(program, [str(plan.bundle)] if plan.bundle else [], say=say)


def _one_hop(subject: Subject, frames: int, plan: Plan, rates: roofline.Rates, say: Say) -> dict[str, Any]:
    figures = timing.time_requests(
        subject.stream(), frames, plan.requests, limit_seconds=plan.limit_seconds, say=say
    )
    return _beside_roofline(subject, frames, 1, figures, rates)


def _one_batch(subject: Subject, streams: int, plan: Plan, rates: roofline.Rates, say: Say) -> dict[str, Any]:
    batch = Batch(subject, streams, plan.batch_hop)
    batch.next_chunk()  # compiles
    seconds = plan.batch_hop / FRAME_RATE_HZ
    say(f"a batch of {streams} streams")
    figures = timing.time_calls(batch.next_chunk, seconds, plan.requests, limit_seconds=plan.limit_seconds, say=say)
    return {"streams": streams, **_beside_roofline(subject, plan.batch_hop, streams, figures, rates)}


def _beside_roofline(
    subject: Subject, frames: int, streams: int, figures: dict[str, Any], rates: roofline.Rates
) -> dict[str, Any]:
    costs = roofline.request_costs(subject, frames, streams=streams)
    # A batch is XLA's.
    storage = subject.loop_storage if streams == 1 else None
    bound = roofline.describe(costs, rates, subject.dtype, frames, storage)
    return {
        "hop_frames": frames,
        "hop_seconds": frames / FRAME_RATE_HZ,
        **figures,
        "roofline": {**bound, "share_reached": bound["bound_seconds"] / figures["p50_seconds"]},
    }


def _parts(subject: Subject, plan: Plan, request_seconds: float | None) -> dict[str, float]:
    """Times of the stages; `request_seconds` of a 2 s request if it has been measured, else None."""
    stream = subject.stream()
    if request_seconds is None:
        stream.next_chunk()  # compiles
        started = time.perf_counter()
        stream.next_chunk()
        request_seconds = time.perf_counter() - started
    fitting = int(plan.limit_seconds / request_seconds)
    return timing.time_parts(subject.models, stream, max(1, min(plan.requests, PARTS_REQUESTS, fitting)))
