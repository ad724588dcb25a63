"""`mrtpy generate`: a take from prompts, into a file."""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.options import add_bundle_option, check_output, parse_bpm, parse_prompt
from magenta_rt_py.cli.report import add_json_option, emit, end_progress, progress
from magenta_rt_py.generators.score import Score, constant, read_score

if TYPE_CHECKING:
    from magenta_rt_py.generators.controls import Controls
    from magenta_rt_py.generators.take import Take

AUDIO_SUFFIXES = (".flac", ".wav", ".ogg", ".opus", ".aiff")
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
BYTES_A_SECOND = 48_000 * 2 * 3


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "generate",
        help="make a take from text and audio prompts",
        description="Makes music from any number of weighted prompts and writes it to a file.",
        epilog='example: mrtpy generate --prompt "lofi hip hop:1.0" --prompt loop.wav:0.5 --seconds 30 --out take.flac',
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--prompt",
        action="append",
        metavar="PROMPT[:WEIGHT]",
        help="words or the path of an audio file, and a weight (default 1); may be repeated",
    )
    what.add_argument("--score", type=Path, metavar="JSON", help="prompts that change over time: a JSON file")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the take (default 30)")
    parser.add_argument(
        "--out", type=Path, default=Path("take.flac"), help=f"file to write: {' '.join(AUDIO_SUFFIXES)}"
    )
    parser.add_argument(
        "--bpm",
        type=parse_bpm,
        default=argparse.SUPPRESS,
        help="tempo in beats a minute, or none (default: the bundle's)",
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same take (default 0)")
    parser.add_argument("--temperature", type=float, help="how adventurous: 0 .. 4 (default: the bundle's)")
    parser.add_argument("--top-k", type=int, help="codes that may be drawn, 0 for all (default: the bundle's)")
    parser.add_argument(
        "--guidance", type=float, help="how closely to follow the prompts: 0 .. 20 (default: the bundle's)"
    )
    parser.add_argument(
        "--adapter-strength",
        type=float,
        metavar="STRENGTH",
        help="of a finetune's adapters: 0 is its base, 1 as trained, up to 2 (default: the bundle's)",
    )
    parser.add_argument(
        "--exact", action="store_true", help="as the released program does it, for released models (docs/released.md)"
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="also draw a spectrogram")
    add_bundle_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Checks everything, makes the take, writes it, reports."""
    from magenta_rt_py import audio
    from magenta_rt_py.generators import codec_lm, styles, system, take
    from magenta_rt_py.lm import adapters

    began = time.perf_counter()
    prompts = [parse_prompt(text) for text in arguments.prompt or ()]
    take.check_seconds(arguments.seconds)
    codec_lm.check_seed(arguments.seed)
    check_output(arguments.out, num_bytes=int(arguments.seconds * BYTES_A_SECOND), suffixes=AUDIO_SUFFIXES)
    if arguments.plot:
        _check_plot(arguments.plot)
    bundle = system.open_bundle(arguments.bundle)
    if arguments.adapter_strength is not None and adapters.PART not in bundle.configs:
        raise ValueError(
            f"{bundle.path} has no adapters, so there is no strength to set; leave --adapter-strength out, or give a bundle "
            "of mrtpy finetune --method lora"
        )
    score = _score(arguments, prompts, system.default_controls(bundle))
    sources = {prompt: styles.as_prompt(prompt) for prompt in score.prompts}
    progress(arguments, "loading the model")
    model = system.load(arguments.bundle)
    made = take.play_score(
        model,
        score,
        seconds=arguments.seconds,
        seed=arguments.seed,
        exact=arguments.exact,
        sources=sources,
        on_chunk=lambda seconds: progress(
            arguments, f"{min(seconds, arguments.seconds):.0f} of {arguments.seconds:g} s"
        ),
    )
    end_progress(arguments)
    audio.write(arguments.out, made.samples, audio.SAMPLE_RATE_HZ)
    if arguments.plot:
        _draw(arguments, score, made)
    report = _report(arguments, score, made, time.perf_counter() - began)
    emit(arguments, report, _lines(report))
    return 0


def _check_plot(path: Path) -> None:
    import importlib.util

    from magenta_rt_py.errors import MissingExtraError

    check_output(path, suffixes=PICTURE_SUFFIXES)
    if not importlib.util.find_spec("matplotlib"):
        raise MissingExtraError("a spectrogram picture", "matplotlib", "plot")


def _score(arguments: argparse.Namespace, prompts: list[tuple[str, float]], defaults: Controls) -> Score:
    """The score to play: the file's, or one cue of all the prompts; options on the command line come first."""
    chosen = {
        "temperature": arguments.temperature,
        "top_k": arguments.top_k,
        "guidance_weight": arguments.guidance,
        "adapter_strength": arguments.adapter_strength,
    }
    knobs: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if "bpm" in arguments:
        knobs["bpm"] = arguments.bpm
    controls = dataclasses.replace(defaults, **knobs)
    if arguments.score:
        return read_score(arguments.score, controls)
    return constant(prompts, controls)


def _draw(arguments: argparse.Namespace, score: Score, made: Take) -> None:
    from magenta_rt_py import audio, plot

    tempos = {cue.controls.bpm for cue in score.cues}
    markers = [(cue.at_seconds, " + ".join(name for name, weight in cue.prompts if weight > 0)) for cue in score.cues]
    plot.save_spectrogram(
        arguments.plot,
        made.samples,
        audio.SAMPLE_RATE_HZ,
        title=f"{arguments.out.name}: {arguments.seconds:g} s, seed {arguments.seed}, RTF {made.rtf:.1f}",
        bpm=tempos.pop() if len(tempos) == 1 else None,
        markers=[marker for marker in markers if marker[0] < arguments.seconds],
    )


def _report(arguments: argparse.Namespace, score: Score, made: Take, total_seconds: float) -> dict[str, Any]:
    return {
        "command": "generate",
        "out": str(arguments.out),
        "plot": str(arguments.plot) if arguments.plot else None,
        "seconds": len(made.samples) / 48_000,
        "seed": arguments.seed,
        "exact": arguments.exact,
        "score": [dataclasses.asdict(cue) for cue in score.cues],
        "peak_db": made.peak_db,
        "rtf_model": made.rtf,
        "rtf_total": arguments.seconds / total_seconds,
        "model_seconds": made.model_seconds,
        "compile_seconds": made.compile_seconds,
        "total_seconds": total_seconds,
    }


def _lines(report: dict[str, Any]) -> list[str]:
    mixes = []
    for cue in report["score"]:
        mix = " + ".join(f"{_short(name)} x {weight:g}" for name, weight in cue["prompts"])
        tempo = cue["controls"]["bpm"]
        mixes.append(f"  from {cue['at_seconds']:g} s: {mix}" + (f", {tempo:g} bpm" if tempo else ""))
    return [
        f"{report['out']}: {report['seconds']:g} s, 48 kHz stereo, seed {report['seed']}, "
        f"peak {report['peak_db']:.1f} dB",
        *mixes,
        f"  real-time factor {report['rtf_model']:.2f} (model only), {report['rtf_total']:.2f} "
        f"(all: loading, compiling, writing; {report['total_seconds']:.1f} s)",
        *([f"  picture: {report['plot']}"] if report["plot"] else []),
    ]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
