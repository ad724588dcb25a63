"""Ten made-up genres that a probe can tell apart, a studio of them, and models that play them or noise."""

from __future__ import annotations

import types

import numpy as np
import pytest

from magenta_rt_py.train import studio
from magenta_rt_py.train.evaluation import probe, probe_data, units, workbench
from magenta_rt_py.train.evaluation.prompts import EVALUATION_PROMPTS

TAKE_SECONDS = 10.0
"""Longest take of a fake model."""

PROMPTS = EVALUATION_PROMPTS[:10]
GENRES = tuple(prompt.genre for prompt in PROMPTS)


def make_sound(genre: str, seed: int, seconds: float) -> np.ndarray:
    """A pulsed tone whose pitch and pulse belong to the genre; seed and noise vary it."""
    generator = np.random.default_rng(seed)
    index = GENRES.index(genre)
    time = np.arange(int(seconds * 48_000)) / 48_000
    pitch = 110.0 * 1.5**index * generator.uniform(0.98, 1.02)
    beat_seconds = PROMPTS[index].frames_per_beat / 25
    envelope = np.exp(-6.0 * ((time / beat_seconds) % 1.0))
    tone = np.sin(2 * np.pi * pitch * time) * envelope
    tone = 0.3 * tone + 0.003 * generator.standard_normal(len(time))
    return np.stack([tone, tone], -1).astype(np.float32)


class FakeStream:
    """Plays an array in chunks of 2 s."""

    def __init__(self, samples: np.ndarray) -> None:
        self._samples = samples

    def chunks(self, count: int):
        for start in range(count):
            yield self._samples[start * 96_000 : (start + 1) * 96_000]


class FakeModel:
    """Returns true renders of the prompt's genre, or noise; embeds perfectly or at random."""

    def __init__(self, *, knows: bool) -> None:
        self._knows = knows
        self.asked: list[tuple] = []

    def mix(self, prompts):
        return prompts

    def stream(self, style, *, seed, bpm):
        self.asked.append((dict(style), seed, bpm))
        (text,) = style
        genre = next(prompt.genre for prompt in PROMPTS if prompt.text == text)
        if self._knows and style[text] > 0:
            return FakeStream(make_sound(genre, 10_000 + seed, TAKE_SECONDS))
        noise = (
            np.random.default_rng([seed, GENRES.index(genre)]).standard_normal((int(TAKE_SECONDS * 48_000), 1)).repeat(2, 1)
        )
        return FakeStream((0.1 * noise).astype(np.float32))

    def embed(self, prompt):
        """Text: its genre's corner. Audio: the corner of its strongest pitch, or a fixed corner for noise."""
        if isinstance(prompt, str):
            index = next(i for i, one in enumerate(PROMPTS) if one.text == prompt)
        else:
            samples, rate = prompt
            spectrum = np.abs(np.fft.rfft(samples[: 4 * rate].mean(1)))
            octaves = np.log(max(spectrum[40:].argmax() + 40, 1) / 4 / 110.0) / np.log(1.5)
            index = int(np.clip(round(octaves), 0, 9))
        return np.eye(10, dtype=np.float32)[index]


@pytest.fixture
def some_prompts():
    """The prompts that the fake models know."""
    return PROMPTS


@pytest.fixture
def fake_model():
    """Makes a model that plays what it is asked, or only noise."""
    return FakeModel


def make_piece(seed, *, genre=None, seconds=30.0):
    """The studio's make_piece for made-up genres."""
    bpm = next(prompt.bpm for prompt in PROMPTS if prompt.genre == genre)
    return types.SimpleNamespace(
        samples=make_sound(genre, seed, seconds),
        label=types.SimpleNamespace(bpm=bpm, genre=genre, instruments=[f"{genre} horn"]),
    )


@pytest.fixture
def fake_studio(monkeypatch):
    """Replaces the studio's make_piece."""
    monkeypatch.setattr(studio, "make_piece", make_piece)


@pytest.fixture(scope="session")
def trained_probe():
    """A probe of the made-up genres; trained once, because describing sound takes a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studio, "make_piece", make_piece)
        data = probe_data.make_probe_data(GENRES, None, pieces_per_genre=2, seconds=10.0, workers=1)
    return probe.train_probe(data.descriptors, data.genre_ids, genres=GENRES)


class StandIn(workbench.Workbench):
    """A workbench without a bundle: a model, sizes, and units in a folder of its own."""

    def __init__(self, folder, model, *, codec=None, record=None, prompts=(), sizes=None):
        self.model, self.codec, self.prompts = model, codec, tuple(prompts)
        self.bundle = types.SimpleNamespace(record=record or {})
        self.sizes = sizes or workbench.Sizes()
        self.units = units.Units(folder, key="test")
        self.say = lambda line: None
        self.workers, self.hooks, self.takes_folder = 1, (), None


@pytest.fixture
def bench(tmp_path):
    """Makes a stand-in for a workbench."""
    return lambda model, **options: StandIn(tmp_path / "units", model, **options)
