"""Half an hour of a style that the starter does not know, from files to a finetuned bundle, with a clock beside it.

    python benchmarks/finetune.py --out out/finetune [--method full|lora] [--minutes 30] [--steps N] [--prompts N] [--json]

What it does, in one work directory; started again, it goes on where it was:
  music      the studio's finetune genres (gamelan, calypso: no starter ever hears them), rendered to FLAC with captions
             beside them, and a recorded song out of a Debian package (RECORDED in benchmarks/real_recordings.py, which
             has its licence); neither rendering nor fetching is counted, a musician has the recordings
  prepare    `mrtpy prepare`, counted
  finetune   the starter, full or through adapters; rehearsal included, counted. Both together may take LIMIT_MINUTES
  held out   loss on files that were not trained on, before and after
  nearness   takes of the starter and of the finetuned model, asked for with the same style embeddings (the music's own
             clusters) and the same seeds: Frechet distance from music that neither heard (fresh renders of the genres, the
             song's last minute) in a space that nothing was trained on (random features), and style cosine with
             the kind of music that is nearest to the cluster. Cluster and seed are a pair of takes, one of each model;
             what counts is the interval of the difference over the pairs. Intervals leave out one take, or pair, at a
             time, within its cluster: the clusters are given, the seeds are chance
  forgetting steering of the evaluation's prompts, both models, by the judges of `mrtpy eval steering`

The song is read where it lies and written below --out only; what is made here is never part of a bundle that ships.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import real_recordings
from jaxtyping import Float

from magenta_rt_py import audio
from magenta_rt_py.bundle import load_bundle, starter_path
from magenta_rt_py.generators import styles, system
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.style import StyleEmbedder
from magenta_rt_py.style.steering import Steering, read_steering
from magenta_rt_py.train import studio
from magenta_rt_py.train.evaluation import features, random_features, steering
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.descriptor import WINDOW_SECONDS, windows
from magenta_rt_py.train.evaluation.frechet import frechet_distance
from magenta_rt_py.train.evaluation.intervals import Estimate, stratified_jackknife_of
from magenta_rt_py.train.evaluation.workbench import Workbench, quick
from magenta_rt_py.train.finetune import config as configs
from magenta_rt_py.train.finetune.finetune import finetune, going_on_from
from magenta_rt_py.train.prepare.run import prepare_folder
from magenta_rt_py.train.starter.recipe import work_directory

LIMIT_MINUTES = 40.0
"""Preparing and finetuning, on two CPU cores."""
WANTED_FALL = 0.10
"""Share of the held-out loss that must go."""
WANTED_STEERING = 0.90
"""Share of the starter's steering score that must stay."""

PIECE_SECONDS = 60.0
MUSIC_SEED = 950_000_000
REFERENCE_SEED = 960_000_000
REFERENCE_PIECES = 8
"""Fresh renders a genre."""
RECORDED = "Feelings"
"""Name of the recorded source in benchmarks/real_recordings.py: a rock band, MIT licence."""
RECORDED_CAPTIONS = ("rock band with electric guitar", "a recorded rock song", "guitar rock")
TAKE_SEEDS = tuple(range(11, 27))
"""Takes of each cluster."""
TAKE_SECONDS = 20.0

Samples = Float[np.ndarray, "samples 2"]
Rows = list[Float[np.ndarray, "windows features"]]
"""Of every sound, what the fixed space makes of its windows."""


def main() -> None:
    """Runs what is missing and prints the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="work directory")
    parser.add_argument("--base", type=Path, default=starter_path(), help="bundle to finetune (default: the starter)")
    parser.add_argument("--method", choices=configs.METHODS, default="full")
    parser.add_argument("--minutes", type=float, default=30.0, help="of music (default 30)")
    parser.add_argument("--steps", type=int, help="of finetuning (default: the preset's)")
    parser.add_argument("--learning-rate", type=float, help="(default: the preset's)")
    parser.add_argument("--prompts", type=int, help="steering of the first N prompts only, 0 for none")
    parser.add_argument("--without-recording", action="store_true", help="where no Debian package can be fetched")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report = measure(arguments)
    arguments.out.joinpath("report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1) if arguments.json else "\n".join(lines_of(report)))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything in order; see the module's head."""
    out: Path = arguments.out
    base = load_bundle(arguments.base)
    song = None if arguments.without_recording else recorded_song()
    recorded_minutes = 0 if song is None else write_song(out / "music", song)
    render_music(out / "music", minutes=arguments.minutes - recorded_minutes)
    kinds = reference_of(song)
    _, prepare_seconds = timed(out / "prepare-clock.json", lambda: prepare_folder(out / "music", out / "prepared", base))
    config = going_on_from(configs.default_for(LMConfig(**base.configs["lm"]), arguments.method), base)
    chosen = {"steps": arguments.steps, "learning_rate": arguments.learning_rate}
    config = dataclasses.replace(config, **{name: value for name, value in chosen.items() if value is not None})
    target = out / arguments.method
    fitted, finetune_seconds = timed(
        out / f"{arguments.method}-clock.json",
        lambda: finetune(base, out / "prepared", target, config, workers=arguments.workers, log=print),
    )
    made = load_bundle(target)
    known = read_steering(made)
    assert known is not None
    before, after = (float(numbers["nats_mean"]) for numbers in (fitted.before, fitted.after))
    report = {
        "method": arguments.method,
        "steps": config.steps,
        "minutes_of_music": arguments.minutes,
        "prepare_minutes": prepare_seconds / 60,
        "finetune_minutes": finetune_seconds / 60,
        "held_out_nats": {"before": before, "after": after, "fall": 1 - after / before},
        "nearness": nearness(arguments.base, target, known, kinds),
    }
    if arguments.prompts != 0:
        report["steering"] = {
            name: steering_of(bundle, arguments.prompts, arguments.workers)
            for name, bundle in (("starter", arguments.base), ("finetuned", target))
        }
    return report | {"verdicts": verdicts_of(report)}


def render_music(folder: Path, *, minutes: float) -> None:
    """The finetune genres as FLAC files of a minute, each with its captions in a text file; what is there is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(max(round(minutes * 60 / PIECE_SECONDS), 2)):
        genre = studio.FINETUNE_GENRES[number % len(studio.FINETUNE_GENRES)]
        path = folder / f"{genre}-{number:03d}.flac"
        if not path.with_suffix(".txt").exists():
            piece = studio.make_piece(MUSIC_SEED + number, genre=genre, seconds=PIECE_SECONDS)
            write_piece(path, np.asarray(piece.samples), piece.label.captions)


def write_piece(path: Path, samples: Samples, captions: Sequence[str]) -> None:
    """A recording with its words beside it; the words last, so that a file with words is whole."""
    audio.write(path, samples, SAMPLE_RATE_HZ)
    path.with_suffix(".txt").write_text("\n".join(captions))


def recorded_song() -> Samples:
    """The recorded source, whole, 48 kHz stereo; fetched into the user's cache where it is not installed."""
    recording = next(one for one in real_recordings.RECORDINGS if one.name == RECORDED)
    fetched = work_directory().with_name("recordings")
    return audio.to_stereo_48k(audio.read(real_recordings.recording_path(recording, fetched)))


def write_song(folder: Path, song: Samples) -> int:
    """All whole minutes of the song but the last as files of the folder, with words beside them; how many that are."""
    folder.mkdir(parents=True, exist_ok=True)
    size = round(PIECE_SECONDS * SAMPLE_RATE_HZ)
    count = max(len(song) // size - 1, 0)
    for number in range(count):
        write_piece(folder / f"recorded-{number:03d}.flac", song[number * size : (number + 1) * size], RECORDED_CAPTIONS)
    return count


def reference_of(song: Samples | None) -> dict[str, list[Samples]]:
    """Sounds of each kind of the music, none of which is among what is trained on."""
    kinds = {
        genre: [
            np.asarray(studio.make_piece(REFERENCE_SEED + number, genre=genre, seconds=TAKE_SECONDS).samples, np.float32)
            for number in range(REFERENCE_PIECES)
        ]
        for genre in studio.FINETUNE_GENRES
    }
    if song is not None:
        minute, size = round(PIECE_SECONDS * SAMPLE_RATE_HZ), round(TAKE_SECONDS * SAMPLE_RATE_HZ)
        last = song[(len(song) // minute - 1) * minute :]
        kinds["recorded"] = [last[start : start + size] for start in range(0, len(last) - size + 1, size)]
    return kinds


def timed(path: Path, work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work returns, and its wall seconds over all attempts until it was done once; kept in a file.

    An attempt that was killed outright is not counted.
    """
    clock = json.loads(path.read_text()) if path.exists() else {"seconds": 0.0, "done": False}
    if clock["done"]:
        return work(), clock["seconds"]
    began, done = time.perf_counter(), False
    try:
        result = work()
        done = True
    finally:
        seconds = clock["seconds"] + time.perf_counter() - began
        path.write_text(json.dumps({"seconds": seconds, "done": done}))
    return result, seconds


def nearness(base: Path, finetuned: Path, known: Steering, kinds: Mapping[str, Sequence[Samples]]) -> dict[str, Any]:
    """Both models' takes beside music of each kind that neither has heard."""
    reference = described([sound for sounds in kinds.values() for sound in sounds])
    # The finetuned bundle has the base's style model, byte for byte: one judge serves both.
    judge = system.load_style(base)
    wanted = np.stack([kind_style(judge, sounds) for sounds in kinds.values()])
    found: dict[str, Any] = {}
    distances: dict[str, Distances] = {}
    cosines: dict[str, list[float]] = {}
    for name, path in (("starter", base), ("finetuned", finetuned)):
        model = system.load(path)
        takes, cosines[name] = [], []
        for vector in known.centroids:
            nearest = wanted[np.argmax(wanted @ vector)]
            for seed in TAKE_SEEDS:
                takes.append(take_of(model, vector, seed))
                cosines[name].append(float(features.direction(style_of(judge, takes[-1])) @ nearest))
        distances[name] = Distances.between(described(takes), reference)
        found[name] = {"takes": len(takes), "style_cosine": cosine_of(cosines[name]).to_json()}
        found[name]["frechet_random"] = distances[name].estimate().to_json()
    gains = [after - before for before, after in zip(cosines["starter"], cosines["finetuned"], strict=True)]
    found["difference"] = {
        "style_cosine": cosine_of(gains).to_json(),
        "frechet_random": distances["finetuned"].minus(distances["starter"]).to_json(),
    }
    return found


def by_cluster(of_takes: Sequence[float]) -> list[Sequence[float]]:
    """Values of takes, those of a cluster together."""
    size = len(TAKE_SEEDS)
    return [of_takes[start : start + size] for start in range(0, len(of_takes), size)]


def cosine_of(values: Sequence[float]) -> Estimate:
    """Mean over takes, in the order in which they are made."""
    total = sum(values)
    return stratified_jackknife_of(
        total / len(values), by_cluster([(total - value) / (len(values) - 1) for value in values])
    )


def kind_style(judge: StyleEmbedder, sounds: Sequence[Samples]) -> Float[np.ndarray, " dim"]:
    """Direction of the mean style of some sounds."""
    return features.direction(np.mean([style_of(judge, sound) for sound in sounds], axis=0))


def take_of(model: system.MusicModel, style: Float[np.ndarray, " dim"], seed: int) -> Samples:
    """A cold-start take in a style given by its embedding; no tempo is asked for, not even the bundle's own."""
    controls = dataclasses.replace(model.defaults, bpm=None)
    stream = model.stream(model.style_from([(style, 1.0)]), seed=seed, controls=controls)
    chunks = [np.asarray(chunk, np.float32) for chunk in stream.chunks(round(TAKE_SECONDS / 2))]
    return np.concatenate(chunks)


def style_of(judge: StyleEmbedder, samples: Samples) -> Float[np.ndarray, " dim"]:
    """Mean style embedding of a sound's windows."""
    clips = windows(samples, hop_seconds=WINDOW_SECONDS)
    return np.mean([styles.embed(judge, audio.Audio(clip, SAMPLE_RATE_HZ)) for clip in clips], axis=0)


@dataclasses.dataclass(frozen=True)
class Distances:
    """Frechet distance of some sounds from a reference in the fixed space, and the same without each of the sounds."""

    whole: float
    without_one: tuple[float, ...]

    @classmethod
    def between(cls, sounds: Rows, reference: Rows) -> Distances:
        """From the rows of each sound, see `described`."""
        others = np.concatenate(reference)
        whole = frechet_distance(np.concatenate(sounds), others)
        places = range(len(sounds))
        left = (frechet_distance(np.concatenate(sounds[:place] + sounds[place + 1 :]), others) for place in places)
        return cls(whole, tuple(left))

    def estimate(self) -> Estimate:
        """The distance with its interval."""
        return stratified_jackknife_of(self.whole, by_cluster(self.without_one))

    def minus(self, other: Distances) -> Estimate:
        """How much farther than another model's sounds, made in pairs."""
        left = [one - two for one, two in zip(self.without_one, other.without_one, strict=True)]
        return stratified_jackknife_of(self.whole - other.whole, by_cluster(left))


def described(sounds: Sequence[Samples]) -> Rows:
    """Rows of every sound in the fixed space."""
    return [
        np.stack([random_features.describe(clip) for clip in windows(sound, hop_seconds=WINDOW_SECONDS)]) for sound in sounds
    ]


def steering_of(bundle: Path, prompts: int | None, workers: int) -> dict[str, Any]:
    """The judges' summary of a model's takes of the evaluation's prompts."""
    bench = Workbench(bundle, sizes=quick(), workers=workers, num_prompts=prompts, say=print)
    return dict(steering.measure(bench).report["takes"])


def verdicts_of(report: dict[str, Any]) -> dict[str, bool]:
    """What was asked for, and whether it is there."""
    difference = report["nearness"]["difference"]
    verdicts = {
        "in time": report["prepare_minutes"] + report["finetune_minutes"] <= LIMIT_MINUTES,
        "held-out loss falls": report["held_out_nats"]["fall"] >= WANTED_FALL,
        "nearer by Frechet distance": difference["frechet_random"]["interval_95"][1] < 0,
        "nearer by style cosine": difference["style_cosine"]["interval_95"][0] > 0,
    }
    if "steering" in report:
        scores = {name: float(summary["probe_top1"]["share"]) for name, summary in report["steering"].items()}
        verdicts["steering stays"] = scores["finetuned"] >= WANTED_STEERING * scores["starter"]
    return verdicts


def lines_of(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    held, near = report["held_out_nats"], report["nearness"]
    lines = [
        f"{report['method']}, {report['steps']} steps on {report['minutes_of_music']:g} minutes of music",
        f"prepare {report['prepare_minutes']:.1f} + finetune {report['finetune_minutes']:.1f} of {LIMIT_MINUTES:g} minutes",
        f"held-out loss {held['before']:.3f} to {held['after']:.3f} nats a code, {100 * held['fall']:.1f} % less",
    ]
    for name, figures in near.items():
        distance, cosine = figures["frechet_random"], figures["style_cosine"]
        lines.append(
            f"{name}: Frechet {distance['value']} {distance['interval_95']}, style cosine {cosine['value']} "
            f"{cosine['interval_95']}" + (f", {figures['takes']} takes" if "takes" in figures else "")
        )
    for name, summary in report.get("steering", {}).items():
        lines.append(f"{name}: steering, probe names the genre of a share of {summary['probe_top1']['share']}")
    return [*lines, *(f"{'yes' if holds else 'NO '}  {what}" for what, holds in report["verdicts"].items())]


if __name__ == "__main__":
    main()
