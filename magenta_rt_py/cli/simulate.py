"""`mrtpy simulate`: which plans keep a stream alive on a device of given latency, tried out in virtual time."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from magenta_rt_py.cli.options import check_output
from magenta_rt_py.cli.report import add_json_option, emit

SETTINGS = ("local", "local-server", "remote")
MOST_UNITS = 100
MOST_STREAMS = 1_000


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "simulate",
        help="which request intervals and lengths a device can keep up with",
        description="Checks every interval I and horizon G against a latency model; plays the best pair in virtual time.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--setting", choices=SETTINGS, default="local", help="latency fitted to the paper's table (default: %(default)s)"
    )
    parser.add_argument("--measured", type=Path, metavar="FILE", help="JSON list of [units, seconds]: fit this instead")
    parser.add_argument(
        "--bpm", type=float, action="append", help="unit is a sixteenth at this tempo; may be repeated (default: 120)"
    )
    parser.add_argument("--unit-seconds", type=float, help="length of a unit instead, such as 0.04 for a codec frame")
    parser.add_argument("--intervals", type=int, default=8, help="largest interval I in units (default: %(default)s)")
    parser.add_argument("--horizons", type=int, default=16, help="largest horizon G in units (default: %(default)s)")
    parser.add_argument("--look-ahead", type=int, default=1, help="a, in units (default: %(default)s)")
    parser.add_argument(
        "--overload", choices=("fifo", "latest", "drop"), default="latest", help="when busy (default: %(default)s)"
    )
    parser.add_argument("--percentile", type=float, default=0.95, help="requests that must be in time (default: 0.95)")
    parser.add_argument("--streams", type=int, default=64, help="streams of 288 units to play (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the latencies (default: %(default)s)")
    parser.add_argument("--table", action="store_true", help="instead: simulate the paper's Table III beside its figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the solution space: .svg")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Checks the options and runs what was asked for."""
    for name, most in (("intervals", MOST_UNITS), ("horizons", MOST_UNITS), ("streams", MOST_STREAMS)):
        value = getattr(arguments, name)
        if not 1 <= value <= most:
            raise ValueError(f"--{name} is {value}; give a whole number from 1 to {most}")
    if arguments.seed < 0:
        raise ValueError(f"--seed is {arguments.seed}; give 0 or more")
    if arguments.plot:
        if arguments.table:
            raise ValueError("--plot draws the solution space, --table has none; give one of them")
        check_output(arguments.plot, suffixes=(".svg",))
    return _table(arguments) if arguments.table else _space(arguments)


def read_round_trips(path: Path) -> list[tuple[int, float]]:
    """Measured round trips from a JSON file.

    Raises:
      ValueError: if it is not a list of [units, seconds].
    """
    expected = "expected a JSON list of [units, seconds], such as [[50, 0.8], [50, 0.82]]"
    try:
        rows = json.loads(path.read_text())
        return [(_whole(units), float(seconds)) for units, seconds in rows]
    except (UnicodeDecodeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {expected}; {error}") from error


def _whole(units: Any) -> int:
    if isinstance(units, bool) or int(units) != units:
        raise ValueError(f"units {units!r} is no whole number")
    return int(units)


def _space(arguments: argparse.Namespace) -> int:
    from magenta_rt_py.live import feasibility, latency_fit, simulator, solution_space
    from magenta_rt_py.live.overload import Overload
    from magenta_rt_py.live.plan import Plan
    from magenta_rt_py.live.streammuse import FITTED, NUM_UNITS

    measured = read_round_trips(arguments.measured) if arguments.measured else None
    model = latency_fit.fit(measured) if measured is not None else FITTED[arguments.setting]
    name = arguments.measured.name if arguments.measured else arguments.setting
    panels, reports = [], []
    for title, unit_seconds in _units(arguments):
        plan = Plan(
            unit_seconds=unit_seconds,
            interval=1,
            look_ahead=arguments.look_ahead,
            horizon=1,
            context=0,
            overload=Overload(arguments.overload),
        )
        verdicts = feasibility.search(
            plan,
            model,
            intervals=range(1, arguments.intervals + 1),
            horizons=range(1, arguments.horizons + 1),
            percentile=arguments.percentile,
        )
        panels.append(solution_space.Panel(f"{name}, {title}", tuple(verdicts)))
        chosen = feasibility.best(verdicts)
        played = (
            simulator.simulate(
                chosen.plan, model, num_units=NUM_UNITS, num_streams=arguments.streams, seed=arguments.seed
            )
            if chosen
            else None
        )
        reports.append(_panel_report(title, unit_seconds, verdicts, chosen, played))
    if arguments.plot:
        arguments.plot.write_text(solution_space.svg(panels))
    report = {
        "command": "simulate",
        "latency": vars(model),
        "measured": str(arguments.measured) if arguments.measured else None,
        "setting": None if arguments.measured else arguments.setting,
        "percentile": arguments.percentile,
        "overload": arguments.overload,
        "plot": str(arguments.plot) if arguments.plot else None,
        "spaces": reports,
    }
    lines = []
    for panel, panel_report in zip(panels, reports, strict=True):
        lines += [*solution_space.text_lines(panel), _best_line(panel_report), ""]
    emit(arguments, report, [*lines, solution_space.legend()])
    return 0


def _units(arguments: argparse.Namespace) -> list[tuple[str, float]]:
    """(title, seconds) of each unit that was asked for."""
    if arguments.unit_seconds is not None:
        if arguments.bpm:
            raise ValueError("--bpm and --unit-seconds both say how long a unit is; give one of them")
        return [(f"{1000 * arguments.unit_seconds:g} ms units", arguments.unit_seconds)]
    tempos = arguments.bpm or [120.0]
    for bpm in tempos:
        if not 20.0 <= bpm <= 400.0:
            raise ValueError(f"--bpm is {bpm:g}; give a number from 20 to 400")
    return [(f"{bpm:g} bpm", 15.0 / bpm) for bpm in tempos]


def _panel_report(title: str, unit_seconds: float, verdicts: list[Any], chosen: Any, played: Any) -> dict[str, Any]:
    from magenta_rt_py.live import solution_space

    return {
        "title": title,
        "unit_seconds": unit_seconds,
        "feasible_share": solution_space.feasible_share(verdicts),
        "pairs": [
            {
                "interval": verdict.plan.interval,
                "horizon": verdict.plan.horizon,
                "kind": solution_space.kind(verdict),
                "reserve_units": verdict.reserve_units,
                "isr": verdict.prediction.isr,
                "staleness": verdict.prediction.staleness,
            }
            for verdict in verdicts
        ],
        "best": None
        if chosen is None
        else {
            "interval": chosen.plan.interval,
            "horizon": chosen.plan.horizon,
            "reserve_units": chosen.reserve_units,
            "mean_control_delay_seconds": chosen.prediction.mean_control_delay_units * unit_seconds,
            "simulated": {
                "isr": played.isr,
                "staleness": played.staleness,
                "isr_w": played.isr_w,
                "gaps_per_1000": played.gaps_per_1000,
            },
        },
    }


def _best_line(report: dict[str, Any]) -> str:
    best = report["best"]
    if best is None:
        return "no pair is feasible: take a faster device, a slower tempo, or longer intervals and horizons"
    played = best["simulated"]
    return (
        f"best: I {best['interval']}, G {best['horizon']}, control delay {best['mean_control_delay_seconds']:.2f} s; "
        f"played: ISR {played['isr']:.3f}, staleness {played['staleness']:.2f}, ISR_w {played['isr_w']:.3f}"
    )


def _table(arguments: argparse.Namespace) -> int:
    from magenta_rt_py.live import simulator

    rows = simulator.compare_with_table(num_songs=arguments.streams, seed=arguments.seed)
    isr_error, staleness_error = simulator.mean_errors(rows)
    within = sum(row.isr_error <= 0.1 for row in rows)
    report = {
        "command": "simulate",
        "in_sample": True,
        "songs": arguments.streams,
        "rows": [
            {
                "setting": row.reported.setting,
                "interval": row.reported.interval,
                "generation_length": row.reported.generation_length,
                "reported": row.reported._asdict(),
                "fifo": {"isr": row.fifo.isr, "staleness": row.fifo.staleness, "isr_w": row.fifo.isr_w},
                "latest": {"isr": row.latest.isr, "staleness": row.latest.staleness, "isr_w": row.latest.isr_w},
            }
            for row in rows
        ],
        "rows_within_0.1": within,
        "mean_isr_error": isr_error,
        "mean_staleness_error": staleness_error,
    }
    lines = ["setting        I  GL   reported ISR  stale   fifo ISR  stale   latest ISR  stale"]
    for row in rows:
        lines.append(
            f"{row.reported.setting:12} {row.reported.interval:3} {row.reported.generation_length:3}"
            f"{row.reported.isr:15.3f} {row.reported.staleness:6.2f} {row.fifo.isr:10.3f} {row.fifo.staleness:6.2f}"
            f" {row.latest.isr:12.3f} {row.latest.staleness:6.2f}"
        )
    lines += [
        f"fifo against the reported figures: ISR within 0.1 on {within} of {len(rows)} rows, mean error of ISR "
        f"{isr_error:.3f}, of staleness {staleness_error:.3f}",
        "in-sample: the latency models were fitted to these rows, so this tests the rules, not the latencies",
    ]
    emit(arguments, report, lines)
    return 0
