"""What a preparation used and skipped, and what to do next: for people."""

from __future__ import annotations

from pathlib import Path

from magenta_rt_py.train.prepare.index import PreparedIndex

MOST_LINES = 40
"""Files that are named one by one on the screen; the index names all."""


def lines_of(index: PreparedIndex, out: Path, *, bundle: str = "starter") -> list[str]:
    """The closing table.

    Args:
      index: of the prepared folder.
      out: the folder.
      bundle: what it was prepared for, as `mrtpy finetune --from` takes it.
    """
    hours = sum(shard.seconds for shard in index.shards) / 3600
    size = sum(shard.num_bytes for shard in index.shards) / 1e6
    clocks = sum(used.has_clock for used in index.used)
    lines = [
        f"{hours:.2f} h of music from {len(index.used)} files, {len(index.skipped)} skipped; "
        f"{len(index.shards)} shards, {size:.1f} MB",
        f"a steady beat was found in {clocks} files: their pieces begin on bar lines and have a clock",
        _held_out_line(index),
    ]
    lines += _named("skipped", [(entry.path, entry.reason) for entry in index.skipped])
    lines += _named("used all the same", [(used.path, ", ".join(used.notes)) for used in index.used if used.notes])
    if index.shards:
        lines.append(f"next: mrtpy finetune --from {bundle} --data {out} --out my-model")
    else:
        lines.append("nothing could be used; the reasons are above")
    return lines


def _held_out_line(index: PreparedIndex) -> str:
    apart = [used.path for used in index.used if used.held_out]
    if not apart:
        return "no file could be held out: training will evaluate on pieces of the same files"
    minutes = index.seconds(held_out=True) / 60
    named = ", ".join(apart[:3]) + (", ..." if len(apart) > 3 else "")
    return f"held out for evaluation: {minutes:.1f} min in {len(apart)} whole files ({named})"


def _named(title: str, rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    shown = rows[:MOST_LINES]
    width = min(max(len(path) for path, _ in shown), 60)
    lines = [f"{title}:", *(f"  {path:<{width}}  {reason}" for path, reason in shown)]
    if len(rows) > MOST_LINES:
        lines.append(f"  and {len(rows) - MOST_LINES} more: see index.json")
    return lines
