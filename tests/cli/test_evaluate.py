"""`mrtpy eval`: reports as text, JSON and files; a run goes on where it was; one-line errors."""

from __future__ import annotations

import json
import types

import numpy as np
import pytest
import soundfile

from magenta_rt_py.cli import evaluate, evaluate_clock, evaluate_offline, main
from magenta_rt_py.train import studio
from magenta_rt_py.train.evaluation import beat_tracking, renders, transitions, workbench
from magenta_rt_py.train.evaluation.prompts import EVALUATION_PROMPTS
from magenta_rt_py.train.studio.instruments import INSTRUMENTS

SIZES = workbench.Sizes(
    seeds=(11,),
    take_seconds=10.0,
    true_pieces=2,
    probe_pieces=1,
    probe_seconds=10.0,
    codec_seconds=4.0,
    transition_pairs=2,
    transition_seconds=12.0,
    fixed_seconds=10.0,
    live_minutes=0.2,
    live_takes=2,
    clock_minutes=0.25,
    style_pieces=1,
)


def _sound(genre: str, seed: int, seconds: float, bpm: float) -> np.ndarray:
    """A click track whose tone belongs to the genre."""
    index = list(studio.GENRES).index(genre)
    time = np.arange(round(seconds * 48_000)) / 48_000
    tone = np.sin(2 * np.pi * (110 + 150 * index) * time) * np.exp(-6.0 * ((time * bpm / 60) % 1.0))
    noise = np.random.default_rng(seed).standard_normal((len(time), 2))
    return (0.3 * tone[:, None] + 0.003 * noise).astype(np.float32)


@pytest.fixture
def small(monkeypatch, tmp_path, tiny_bundle):
    """Small sizes, a made-up studio of three genres, a cache of its own; gives the options of a run."""

    def make_piece(seed, *, genre=None, seconds=30.0):
        bpm = next((prompt.bpm for prompt in EVALUATION_PROMPTS if prompt.genre == genre), 120.0)
        label = types.SimpleNamespace(bpm=bpm, instruments=["stab"])
        return types.SimpleNamespace(samples=_sound(genre, seed, seconds, bpm), label=label)

    def render(genre, *, seed, bpm, seconds, stems=()):
        return beat_tracking.Render(_sound(genre, seed, seconds, bpm), round(60.0 / bpm * 48_000))

    monkeypatch.setattr(studio, "make_piece", make_piece)
    monkeypatch.setattr(studio, "STARTER_GENRES", ("techno", "lofi hip hop", "ambient"))
    monkeypatch.setattr(renders.os, "cpu_count", lambda: 1)  # the replaced studio exists in this process only
    monkeypatch.setattr(beat_tracking, "render", render)
    monkeypatch.setattr(evaluate_clock, "CLOCK_PROMPTS", {"techno": evaluate_clock.CLOCK_PROMPTS["techno"]})
    monkeypatch.setattr(evaluate_offline, "preroll", lambda lm, conditioning, *, seed: ())
    everything = frozenset(studio.GENRES) | frozenset(INSTRUMENTS)
    monkeypatch.setattr(transitions, "known_styles", lambda bundle: everything)
    monkeypatch.setattr(workbench, "SIZES", {"quick": lambda: SIZES, "full": lambda: SIZES})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return ["--bundle", str(tiny_bundle)]


def test_all_of_it_as_one_report_and_again_from_what_is_kept(small, capsys, tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    soundfile.write(folder / "one.wav", _sound("rock", 0, 5.0, 100.0), 48_000)
    out = tmp_path / "out"
    arguments = ["eval", "all", *small, "--prompts", "3", "--folder", str(folder), "--out", str(out)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "pulse and tempo" in printed.lower() and " 0 units made" not in printed
    report = json.loads((out / "report.json").read_text())
    names = [name for name in evaluate.ACTIONS if name != "all"]
    assert set(names) <= set(report)
    assert report["codec"]["recordings"]["files"] == 1
    assert all(report[name]["verdicts"] or name == "quality" for name in names)
    text = (out / "report.md").read_text()
    for picture in ("codec", "style", "steering", "takes", "beat", "quality", "transitions", "liveness"):
        assert f"![{picture}.png]({picture}.png)" in text
        assert (out / f"{picture}.png").stat().st_size > 3_000, picture
    first = {name: {**report[name]} for name in names}
    assert main([*arguments]) == 0
    assert " 0 units made" in capsys.readouterr().out
    again = json.loads((out / "report.json").read_text())
    for name in names:
        # What is timed or not kept differs.
        for key in ("speed", "streaming"):
            first[name].pop(key, None)
            again[name].pop(key, None)
        assert again[name] == first[name], name


def test_json_and_kept_takes(small, capsys, tmp_path):
    options = [*small, "--prompts", "2", "--takes-dir", str(tmp_path / "takes")]
    assert main(["eval", "steering", *options, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["steering"]["takes"]["sounds"] == 2
    assert report["steering"]["true_renders"]["sounds"] == 4
    assert sorted(file.name for file in (tmp_path / "takes").iterdir()) == ["lofi_hip_hop_11.flac", "techno_11.flac"]
    assert main(["eval", "beat", *options]) == 0
    assert " 0 units made" in capsys.readouterr().out, "takes that were kept as FLAC are not made twice"


def test_numbers_of_the_command_line_reach_the_sizes(small, capsys):
    assert main(["eval", "transitions", *small, "--pairs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["transitions"]["pairs"] == 1
    assert main(["eval", "liveness", *small, "--minutes", "0.1", "--takes", "1", "--json"]) == 0
    (take,) = json.loads(capsys.readouterr().out)["liveness"]["takes"]
    assert take["take"]["seconds"] == 6.0


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval"],
        ["eval", "taste"],
        ["eval", "codec", "--bundle", "nowhere"],
        ["eval", "steering", "--bundle", "nowhere"],
        ["eval", "codec", "--folder", "nowhere"],
        ["eval", "steering", "--prompts", "1"],
        ["eval", "liveness", "--minutes", "0"],
        ["eval", "transitions", "--pairs", "500"],
        ["eval", "quality", "--with", "openl3"],
        ["eval", "quality", "--with", "taste"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments, capsys, tmp_path, monkeypatch, small):
    monkeypatch.chdir(tmp_path)
    if len(arguments) > 1 and "--bundle" not in arguments and arguments[1] != "taste":
        arguments = [*arguments, *small]
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
