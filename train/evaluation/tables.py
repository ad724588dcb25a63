"""Reports as plain text: what a person reads in a terminal; the JSON holds the rest."""

from __future__ import annotations

from typing import Any


def share_text(share: dict[str, Any] | None) -> str:
    """`13/30 0.43 [0.27, 0.61]`, or a dash where nothing was judged."""
    if share is None:
        return "-"
    low, high = share["wilson_95"]
    return f"{share['hits']}/{share['trials']} {share['share']:.2f} [{low:.2f}, {high:.2f}]"


def _rows_to_text(rows: list[list[str]]) -> str:
    """Columns padded to equal width."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


_SET_NAMES = ("takes", "style_masked", "true_renders", "round_trip")


def steering_text(report: dict[str, Any]) -> str:
    """The steering report: sets side by side, then the takes by prompt."""
    rows = [["", "probe first", "style first", "probe, wrong prompt", "style, wrong prompt"]]
    for name in _SET_NAMES:
        if name in report:
            one = report[name]
            rows.append(
                [
                    name,
                    share_text(one["probe_top1"]),
                    share_text(one.get("style_rank1")),
                    share_text(one["probe_wrong_prompt"]),
                    share_text(one.get("style_wrong_prompt")),
                ]
            )
    parts = ["Steering (95 % Wilson intervals; chance 0.10)", _rows_to_text(rows)]
    if "per_prompt" in report:
        table = [["prompt", "probe", "style", "probe named", "style named"]]
        table += [
            [
                row["prompt"],
                f"{row['probe_right']}/{row['takes']}",
                f"{row['style_right']}/{row['takes']}",
                ", ".join(row["probe_named"]),
                ", ".join(row["style_named"]),
            ]
            for row in report["per_prompt"]
        ]
        parts.append(_rows_to_text(table))
    return "\n\n".join(parts)


def beat_text(report: dict[str, Any]) -> str:
    """The beat report: sets side by side, then by prompt."""
    rows = [["", "pulse", "at asked beat", "control", "onsets", "tempo within 4 %", "or octave"]]
    for name in _SET_NAMES:
        if name in report:
            one = report[name]
            rows.append(
                [
                    name,
                    *(f"{one[key]:.2f}" for key in ("pulse_clarity", "asked_beat", "control_lags", "onset_strength")),
                    share_text(one["tempo_exact"]),
                    share_text(one["tempo_or_octave"]),
                ]
            )
    parts = ["Beat (beat-driven prompts only)", _rows_to_text(rows)]
    if "pulse_ratio" in report:
        parts.append(f"pulse of takes over true renders: {report['pulse_ratio']:.2f}")
    table = [["genre", "asked", "set", "pulse", "tempo exact", "found bpm"]]
    for row in report["per_prompt"]:
        for name in _SET_NAMES:
            if name in row:
                one = row[name]
                table.append(
                    [
                        row["genre"],
                        f"{row['asked_bpm']:.0f}" if name == "takes" else "own",
                        name,
                        f"{one['pulse_clarity']:.2f}",
                        f"{one['tempo_exact']['hits']}/{one['tempo_exact']['trials']}",
                        " ".join(f"{bpm:.0f}" for bpm in one["found_bpm"]),
                    ]
                )
    parts.append(_rows_to_text(table))
    return "\n\n".join(parts)


def codec_text(report: dict[str, Any]) -> str:
    """The codec report: a row for every number of levels, the ceiling last."""
    names = list(report["ceiling"])
    keys = [key for key in report if key.startswith("levels_")] + ["ceiling"]
    rows = [["", *names], *([key, *(f"{report[key][name]:.2f}" for name in names)] for key in keys)]
    lines = [
        f"Codec round trip on {report['sounds']} held-out renders",
        _rows_to_text(rows),
        "mel distance by genre: "
        + ", ".join(f"{genre} {db:.2f}" for genre, db in report["mel_distance_by_genre"].items()),
        "perplexity by level: " + " ".join(str(value) for value in report["perplexity"]),
        "streamed against whole: "
        f"{100 * report['streaming']['codes_differ']:.3f} % of codes differ, "
        f"waveform within {report['streaming']['waveform_largest_difference']:.1e}",
        f"speed: encode {report['speed']['encode_rtf']}x, decode {report['speed']['decode_rtf']}x",
    ]
    return "\n\n".join(lines)


def probe_text(report: dict[str, Any]) -> str:
    """What the probe is worth on pieces it has not heard."""
    return (
        f"probe on {report['pieces']} unheard renders: {share_text(report['true_renders'])}; "
        f"through the codec: {share_text(report.get('round_trip'))}"
    )
