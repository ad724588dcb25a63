"""`mrtpy eval`: reports as text and JSON, one-line errors."""

from __future__ import annotations

import json
import types

import numpy as np
import pytest

from magenta_rt_py.cli import evaluate, main
from magenta_rt_py.generators import system
from magenta_rt_py.train import studio
from magenta_rt_py.train.evaluation import prompts, renders


def _sound(genre: str, seed: int, seconds: float) -> np.ndarray:
    """A click track whose tone belongs to the genre."""
    index = [prompt.genre for prompt in prompts.EVALUATION_PROMPTS].index(genre)
    time = np.arange(round(seconds * 48_000)) / 48_000
    envelope = np.exp(-6.0 * ((time * prompts.EVALUATION_PROMPTS[index].bpm / 60) % 1.0))
    tone = np.sin(2 * np.pi * 110 * 1.5**index * time) * envelope
    noise = np.random.default_rng(seed).standard_normal((len(time), 2))
    return (0.3 * tone[:, None] + 0.003 * noise).astype(np.float32)


class FakeCodec:
    """Keeps the sound itself as its codes' index: a perfect round trip."""

    frame_samples = 1920
    decode_latency_frames = 1

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []

    def encode(self, samples):
        codes = np.zeros((len(samples), -(-samples.shape[1] // 1920), 16), np.int32)
        for row, sound in enumerate(samples):
            codes[row] = len(self._kept)
            self._kept.append(sound)
        return codes

    def decode(self, codes):
        return np.stack([self._kept[int(row[0, 0])] for row in codes])


class FakeModel:
    """Plays what is asked."""

    def mix(self, weights):
        return next(iter(weights))

    def stream(self, style, *, seed, bpm):
        genre = next(prompt.genre for prompt in prompts.EVALUATION_PROMPTS if prompt.text == style)
        samples = _sound(genre, seed, 10.0)
        pieces = lambda count: iter(samples.reshape(5, 96_000, 2)[:count])  # noqa: E731
        return types.SimpleNamespace(chunks=pieces)

    def embed(self, prompt):
        texts = [one.text for one in prompts.EVALUATION_PROMPTS]
        if isinstance(prompt, str):
            return np.eye(10, dtype=np.float32)[texts.index(prompt)]
        return np.eye(10, dtype=np.float32)[0]


@pytest.fixture
def small_chain(monkeypatch, tmp_path):
    """A fake bundle and studio, two prompts, one piece a genre."""

    def make_piece(seed, *, genre=None, seconds=30.0):
        bpm = next(prompt.bpm for prompt in prompts.EVALUATION_PROMPTS if prompt.genre == genre)
        return types.SimpleNamespace(samples=_sound(genre, seed, seconds), label=types.SimpleNamespace(bpm=bpm))

    codec = FakeCodec()
    monkeypatch.setattr(system, "load", lambda path=None: FakeModel())
    monkeypatch.setattr(system, "load_codec", lambda path=None: codec)
    monkeypatch.setattr(studio, "make_piece", make_piece)
    monkeypatch.setattr(renders.os, "cpu_count", lambda: 1)  # the replaced studio exists in this process only
    monkeypatch.setattr(evaluate, "PROBE_PIECES_PER_GENRE", 1)
    monkeypatch.setattr(evaluate, "TRUE_PIECES_PER_GENRE", 1)
    monkeypatch.setattr(evaluate, "PROBE_SECONDS", 10.0)
    monkeypatch.setattr(prompts, "EVALUATION_PROMPTS", prompts.EVALUATION_PROMPTS[:2])
    monkeypatch.setattr(prompts, "EVALUATION_SEEDS", (11,))
    monkeypatch.setattr(prompts, "TAKE_SECONDS", 10.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_steering_prints_both_judges_and_the_beat(small_chain, capsys, tmp_path):
    assert main(["eval", "steering", "--json", "--takes-dir", str(tmp_path / "takes")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["steering"]["takes"]["probe_top1"]["share"] == 1.0
    assert report["steering"]["takes"]["style_rank1"]["share"] == 0.5
    assert report["steering"]["true_renders"]["probe_top1"]["share"] == 1.0
    assert report["beat"]["takes"]["sounds"] == report["steering"]["takes"]["sounds"]
    assert len(list((tmp_path / "takes").glob("*.flac"))) == report["steering"]["takes"]["sounds"]


def test_beat_as_text(small_chain, capsys):
    assert main(["eval", "beat"]) == 0
    printed = capsys.readouterr().out
    assert "tempo within 4 %" in printed
    assert "pulse of takes over true renders" in printed


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval"],
        ["eval", "taste"],
        ["eval", "codec", "--bundle", "nowhere"],
        ["eval", "steering", "--bundle", "nowhere"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
