"""Prompt arguments, tempos, and output files that cannot be written."""

import argparse
import os
from pathlib import Path

import pytest

from magenta_rt_py.cli.options import check_output, parse_bpm, parse_prompt


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lofi hip hop", ("lofi hip hop", 1.0)),
        ("lofi hip hop:0.5", ("lofi hip hop", 0.5)),
        ("lofi hip hop : 0.5 ", ("lofi hip hop", 0.5)),
        ("text with: colon", ("text with: colon", 1.0)),
        ("text with: colon:0.5", ("text with: colon", 0.5)),
        ("a:b:c:2", ("a:b:c", 2.0)),
        ("techno:0", ("techno", 0.0)),
        ("techno:.25", ("techno", 0.25)),
        ("techno:1e-2", ("techno", 0.01)),
        ("techno:", ("techno:", 1.0)),
        ("ratio 3:4:1", ("ratio 3:4", 1.0)),
        ("loop.wav", ("loop.wav", 1.0)),
        ("loop.wav:0.5", ("loop.wav", 0.5)),
        (r"C:\loops\a.wav", (r"C:\loops\a.wav", 1.0)),
        (r"C:\loops\a.wav:0.5", (r"C:\loops\a.wav", 0.5)),
        ("C:/loops/a 1.FLAC:2", ("C:/loops/a 1.FLAC", 2.0)),
        ("日本の音楽:0.5", ("日本の音楽", 0.5)),
        ("techno 1_0:1", ("techno 1_0", 1.0)),
    ],
)
def test_prompt_and_weight(text, expected):
    assert parse_prompt(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty prompt"),
        ("   ", "empty prompt"),
        (":0.5", "empty prompt"),
        ("techno:nan", "weight nan"),
        ("techno:NaN", "weight nan"),
        ("techno:inf", "weight inf"),
        ("techno:-1", "weight -1"),
        ("techno:0,5", "'0,5'"),
        ("techno:1.2.3", "'1.2.3'"),
        ("x" * 10_000, "10000 characters"),
        ("x" * 10_000 + ":0.5", "10000 characters"),
    ],
)
def test_bad_prompts(text, message):
    with pytest.raises(ValueError, match=r"prompt|weight") as caught:
        parse_prompt(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_bpm_none_is_not_a_number():
    assert parse_bpm("none") is None
    assert parse_bpm("125") == 125.0
    with pytest.raises(argparse.ArgumentTypeError):
        parse_bpm("allegro")


def test_outputs_are_checked_before_work(tmp_path, monkeypatch):
    check_output(tmp_path / "a.flac", num_bytes=1000, suffixes=(".flac",))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"ending is \.mp3; use \.flac"):
        check_output(tmp_path / "a.mp3", suffixes=(".flac",))
    with pytest.raises(FileNotFoundError, match="no folder"):
        check_output(tmp_path / "missing" / "a.flac")
    (tmp_path / "folder.flac").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_output(tmp_path / "folder.flac")
    with pytest.raises(OSError, match="MB left"):
        check_output(tmp_path / "a.flac", num_bytes=10**18)


def test_folder_that_takes_no_file(tmp_path, monkeypatch):
    def refuse(*, dir: Path):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    with pytest.raises(OSError, match="No space left"):
        check_output(tmp_path / "a.flac")
