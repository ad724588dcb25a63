"""The takes to listen to: every score is one, a row says what was asked, and a take is made, kept and measured."""

import importlib

import pytest

from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.score import parse_score


@pytest.fixture
def listening(root, monkeypatch):
    """benchmarks/listening.py as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("listening")


def test_every_score_is_one_and_ends_inside_its_take(listening):
    assert len({take.name for take in listening.TAKES}) == len(listening.TAKES) >= 8
    for take in listening.TAKES:
        cues = parse_score(list(take.score), Controls()).cues
        assert cues[-1].at_seconds + cues[-1].ramp_seconds < take.seconds - 5.0


def test_what_was_asked_is_told_in_one_line(listening):
    take = next(take for take in listening.TAKES if len(take.score) == 2)
    for entry in take.score:
        assert f"from {entry['at_seconds']:g} s: {' + '.join(entry['prompts'])}, {entry['bpm']:g} bpm" in take.asked


def test_a_take_is_written_and_measured(listening, tiny_bundle, tmp_path, capsys):
    assert listening.main(["--out", str(tmp_path), "--bundle", str(tiny_bundle), "--only", "techno"]) == 0
    assert (tmp_path / "techno.opus").stat().st_size > 1000
    assert "| [techno](listening/techno.opus) | warehouse techno at night, 125 bpm; seed 11 |" in capsys.readouterr().out
