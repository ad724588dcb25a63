"""The style section: a space that adds up scores high, one that does not scores low."""

import numpy as np
import pytest
import soundfile

from magenta_rt_py.train.evaluation import style_section
from magenta_rt_py.train.evaluation.workbench import Sizes
from magenta_rt_py.train.studio.held_out import EVALUATION_TEXTS, MORE_TEXTS
from magenta_rt_py.train.studio.instruments import INSTRUMENTS

from magenta_rt_py.train import studio  # isort: skip

NAMES = [*studio.GENRES, *INSTRUMENTS]
MEANT = dict((*EVALUATION_TEXTS, *MORE_TEXTS))


class Space:
    """An axis for each word; audio is known by its level. `adds_up` decides whether pairs are sums."""

    def __init__(self, *, adds_up):
        self._adds_up = adds_up

    def embed(self, prompt):
        if not isinstance(prompt, str):
            return self._axis(studio.STARTER_GENRES[round(float(np.abs(prompt[0]).max()) * 100) - 1])
        if not self._adds_up and prompt not in NAMES:
            return np.random.default_rng(list(prompt.encode())).standard_normal(len(NAMES))
        if prompt in MEANT:
            return self._axis(MEANT[prompt])
        found = [name for name in NAMES if name == prompt or prompt.startswith(f"{name} ") or prompt.endswith(f" {name}")]
        return sum((self._axis(name) for name in found), np.zeros(len(NAMES)))

    def _axis(self, name):
        return np.eye(len(NAMES))[NAMES.index(name)]


def _render(genres, *, first_seed, pieces_per_genre, seconds, workers):
    level = 0.01 * (studio.STARTER_GENRES.index(genres[0]) + 1)
    samples = np.full((int(seconds * 48_000), 2), level, np.float32)
    return [style_section.renders.Sound(samples=samples, genre=genres[0], bpm=1.0, seed=0)] * pieces_per_genre


@pytest.fixture
def measure(bench, monkeypatch):
    """Measures a space."""
    monkeypatch.setattr(style_section.renders, "render_sounds", _render)
    return lambda space, **options: style_section.measure(bench(space, sizes=Sizes(style_pieces=2)), **options)


def test_a_space_that_adds_up(measure, tmp_path):
    section = measure(Space(adds_up=True))
    report = section.report
    assert report["blends"]["sum"]["first"]["share"] > 0.9
    assert report["blends"]["shuffled"]["first"]["share"] < 0.2
    assert report["wordings"]["nearest_name"]["first"]["share"] == 1.0
    assert report["audio"]["nearest_name"]["first"]["share"] == 1.0
    assert section.verdicts[0].is_met
    section.pictures[0][1](tmp_path / "style.png")
    assert (tmp_path / "style.png").stat().st_size > 5_000


def test_a_space_that_does_not(measure):
    section = measure(Space(adds_up=False))
    assert section.report["blends"]["sum"]["first"]["share"] < 0.3
    assert section.report["wordings"]["nearest_name"]["first"]["share"] < 0.3
    assert not section.verdicts[0].is_met
    assert len(section.tables[1].rows) > 10, "sentences that are not found are listed"


def test_recordings_are_listed_with_their_neighbours(measure, tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    soundfile.write(folder / "first.wav", np.full((48_000 * 3, 2), 0.01), 48_000, subtype="FLOAT")
    section = measure(Space(adds_up=True), folder=folder)
    (row,) = section.report["recordings"]
    assert row["nearest"][0] == [studio.STARTER_GENRES[0], 1.0]


def test_ranks_count_from_one():
    names = np.eye(3)
    queries = np.array([[1.0, 0.5, 0.0], [1.0, 0.5, 0.0]])
    assert style_section.ranks(queries, names, [0, 2]).tolist() == [1, 3]
