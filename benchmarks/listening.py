"""Makes a page of takes to listen to and prints their table: what was asked, and what can be measured of what came.

    python benchmarks/listening.py [--out DIR] [--bundle DIR] [--only NAME ...] [--pictures]

Every take is a score (magenta_rt_py/generators/score.py), a seed and a length: the same bundle gives the same take, and
`mrtpy generate --score` does too. Words and seeds were written down before the bundle that they are for was trained.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magenta_rt_py import audio, plot
from magenta_rt_py.generators import system
from magenta_rt_py.generators.score import parse_score
from magenta_rt_py.generators.take import Take, play_score
from magenta_rt_py.train.evaluation import rhythm
from magenta_rt_py.train.evaluation.liveness import LivenessMeter
from magenta_rt_py.train.evaluation.section import Table

SECONDS = 20.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListedTake:
    """A take of the page."""

    name: str
    """Of its file."""
    score: Sequence[dict[str, Any]]
    """Entries as in a score file."""
    seed: int = 11
    seconds: float = SECONDS

    @property
    def bpm(self) -> float | None:
        """Tempo of the whole take; None where it changes."""
        tempos = {entry["bpm"] for entry in self.score}
        return tempos.pop() if len(tempos) == 1 else None

    @property
    def asked(self) -> str:
        """What was asked for, in one line."""
        cues = []
        for entry in self.score:
            weights = entry["prompts"].items()
            mix = " + ".join(text if weight == 1.0 else f"{text} x {weight:g}" for text, weight in weights)
            at = f"from {entry['at_seconds']:g} s: " if len(self.score) > 1 else ""
            cues.append(f"{at}{mix}, {entry['bpm']:g} bpm")
        return "; ".join(cues)


def steady(name: str, text: str, bpm: float) -> ListedTake:
    """One prompt from beginning to end."""
    return ListedTake(name=name, score=[{"at_seconds": 0, "prompts": {text: 1.0}, "bpm": bpm}])


TAKES: tuple[ListedTake, ...] = (
    steady("techno", "warehouse techno at night", 125.0),
    steady("lofi", "dusty lofi beat to study to", 75.0),
    steady("jungle", "fast jungle breakbeats with deep bass", 83.333),
    steady("rock", "loud electric guitar rock band", 125.0),
    steady("jazz", "smoky late night jazz combo", 125.0),
    steady("piano", "gentle piano piece, nobody else playing", 83.333),
    steady("ambient", "calm floating ambient drones", 75.0),
    ListedTake(name="techno-flute", score=[{"at_seconds": 0, "prompts": {"techno": 1.0, "flute": 1.0}, "bpm": 125.0}]),
    ListedTake(
        name="dub-to-strings",
        score=[
            {"at_seconds": 0, "prompts": {"dub techno": 1.0}, "bpm": 125.0},
            {"at_seconds": 8, "ramp_seconds": 6, "prompts": {"string quartet": 1.0}, "bpm": 125.0},
        ],
    ),
    ListedTake(
        name="faster",
        score=[
            {"at_seconds": 0, "prompts": {"funk with slap bass": 1.0}, "bpm": 107.143},
            {"at_seconds": 10, "prompts": {"funk with slap bass": 1.0}, "bpm": 125.0},
        ],
    ),
)


def row_of(listed: ListedTake, take: Take, model: system.MusicModel, names: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Name, what was asked, and figures of one take."""
    meter = LivenessMeter(bpm=None)
    meter.feed(take.samples)
    heard = meter.result()
    # The last ten seconds: where a score moves, what it has come to.
    tail = take.samples[-10 * audio.SAMPLE_RATE_HZ :]
    found = rhythm.analyse(tail)
    style = model.embed(audio.Audio(tail, audio.SAMPLE_RATE_HZ))
    nearest = sorted(names, key=lambda name: -float(names[name] @ style))[:3]
    return (
        f"[{listed.name}](listening/{listed.name}.opus)",
        f"{listed.asked}; seed {listed.seed}",
        ", ".join(nearest),
        f"{found.bpm:.1f}",
        f"{heard.loudness_median_lufs:.1f} (+-{heard.loudness_deviation_db:.1f})",
        f"{take.rtf:.1f}",
    )


def main(arguments: Sequence[str]) -> int:
    """Makes the chosen takes and prints their table."""
    parser = argparse.ArgumentParser(description="Makes a page of takes to listen to.", allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=Path("out/listening"), metavar="DIR", help="where the takes go")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="model bundle (default: the starter in the package)")
    parser.add_argument("--only", nargs="+", choices=[take.name for take in TAKES], help="make these only")
    parser.add_argument("--pictures", action="store_true", help="also draw spectrograms")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    model = system.load(options.bundle)
    controls = system.default_controls(model.bundle)
    names = {genre: model.embed(genre) for genre in model.bundle.record.get("genres", ())}
    rows = []
    for listed in TAKES:
        if options.only and listed.name not in options.only:
            continue
        take = play_score(model, parse_score(list(listed.score), controls), seconds=listed.seconds, seed=listed.seed)
        audio.write(options.out / f"{listed.name}.opus", take.samples, audio.SAMPLE_RATE_HZ)
        if options.pictures:
            picture = options.out / f"{listed.name}.png"
            plot.save_spectrogram(picture, take.samples, audio.SAMPLE_RATE_HZ, title=listed.asked, bpm=listed.bpm)
        rows.append(row_of(listed, take, model, names))
        print(f"{listed.name} made", file=sys.stderr)
    header = ("take", "asked", "nearest styles, last 10 s", "bpm found", "loudness, LUFS (farthest, dB)", "RTF")
    print(Table(title="Takes", header=header, rows=tuple(rows)).to_markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
