"""A report of `model_speed.measure` as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def markdown(report: dict[str, Any]) -> str:
    """Tables for docs/benchmarks.md: machine, model, hops, batches, roofline."""
    blocks = [_head(report), _hops(report)]
    if report["batches"]:
        blocks.append(_batches(report))
    blocks += [_roofline(report), _rest(report)]
    return "\n\n".join(blocks) + "\n"


def rows_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | int | None, digits: int = 3) -> str:
    """A figure with so many significant digits, never in powers of ten; "-" for none."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    return text if "e" not in text else f"{float(text):,.0f}" if abs(value) >= 1 else f"{value:.6f}"


def milliseconds(seconds: float | int | None) -> str:
    """Seconds as milliseconds."""
    return number(None if seconds is None else 1e3 * seconds)


def _head(report: dict[str, Any]) -> str:
    machine, model = report["machine"], report["model"]
    layers = model["layers"]
    cut = f", cut to at most {model['cut_to_layers']} layers a stack" if model["cut_to_layers"] else ""
    rows = [
        ("device", f"{machine['device']} ({machine['backend']})"),
        ("processor, cores", f"{machine['processor']}, {machine['cores']}"),
        ("memory", f"{number(machine['memory_megabytes'] and machine['memory_megabytes'] / 1e3)} GB"),
        ("Python, jax, flax", f"{machine['python']}, {machine['jax']}, {machine['flax']}"),
        ("load average at the start", number(machine["load_average"])),
        ("model", f"{model['size']}{cut}: {layers['encoder']} + {layers['temporal']} + {layers['depth']} layers of "
         f"{model['dim']}, {model['levels']} levels, {model['weights']} weights"),
        ("language model", f"{number(model['lm_parameters'] / 1e6)} M numbers, {model['lm_dtype']}"),
        ("one stream's frames", f"loop, {model['frame_loop']}" if model["frame_loop"] else "XLA"),
        ("codec", f"{model['codec']}, {number(model['codec_parameters'] / 1e6)} M numbers, float32"),
        ("guidance", f"on, weight {model['guidance_weight']:g}: two rows"),
    ]  # fmt: skip
    return rows_of(("machine and model", ""), rows)


def _times(figures: dict[str, Any]) -> list[str]:
    times = [milliseconds(figures[f"{name}_seconds"]) for name in ("p50", "p95", "p99", "p999", "worst")]
    bound = figures["roofline"]
    load = f"{number(figures['load_average_before'], 2)}, {number(figures['load_average_after'], 2)}"
    return [
        number(figures["rtf"]), number(figures["rtf_a_core"]), *times, str(figures["requests"]),
        milliseconds(bound["bound_seconds"]), f"{100 * bound['share_reached']:.0f} %", load,
    ]  # fmt: skip


_TIMES = (
    "RTF", "RTF a core", "p50 ms", "p95", "p99", "p99.9", "worst", "requests", "bound ms", "bound / p50",
    "load before, after",
)  # fmt: skip


def _hops(report: dict[str, Any]) -> str:
    return rows_of(("hop s", *_TIMES), [[f"{hop['hop_seconds']:g}", *_times(hop)] for hop in report["hops"]])


def _batches(report: dict[str, Any]) -> str:
    rows = [[str(batch["streams"]), f"{batch['hop_seconds']:g}", *_times(batch)] for batch in report["batches"]]
    return rows_of(("streams in a batch", "hop s", *_TIMES), rows)


def _roofline(report: dict[str, Any]) -> str:
    hop = report["hops"][0]
    rows = []
    for part, cost in hop["roofline"]["parts"].items():
        rows.append((
            part, number(cost["weights"] / 1e6), str(cost["passes"]), number(cost["megabytes_a_frame"]),
            number(cost["million_multiply_adds_a_frame"]), number(cost["bound_milliseconds_a_frame"]), cost["limit"],
        ))  # fmt: skip
    header = (
        f"roofline at a hop of {hop['hop_seconds']:g} s", "M weights", "passes a request", "MB a frame",
        "M multiply-adds a frame", "bound ms a frame", "limit",
    )  # fmt: skip
    return rows_of(header, rows)


def _rest(report: dict[str, Any]) -> str:
    rates, memory, streams = report["rates"], report["memory"], report["streams_in_real_time"]
    first = report.get("first_sound_seconds", {})
    parts = report["parts_of_2_s_request"]
    rows = [
        ("bandwidth, measured", f"{number(rates['gigabytes_per_second'])} GB/s"),
        ("10^9 multiply-adds a second, measured: language model's type / exact float32",
         f"{number(rates['giga_multiply_adds_per_second'])} / {number(rates['exact_giga_multiply_adds_per_second'])}"),
        ("first sound: filled caches / empty",
         f"{number(first.get('filled_cache'))} / {number(first.get('empty_cache'))} s"),
        ("of a 2 s request: language model / refinement / codec",
         " / ".join(milliseconds(parts[f"{name}_seconds"]) for name in ("language_model", "refinement", "codec")) + " ms"),
        ("streams in real time: in one batch / one after another",
         f"{number(streams['in_one_batch']) if streams['batches_tried'] else 'not tried'} / {streams['one_after_another']}"),
        ("peak memory: process / device", f"{number(memory['peak_process_megabytes'])} / "
         f"{number(memory['peak_device_megabytes'])} MB"),
    ]  # fmt: skip
    return rows_of(("figure", "measured"), rows)
