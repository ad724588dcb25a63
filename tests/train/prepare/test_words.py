"""Captions: the owner's words first, then tags and names, and what was heard."""

import numpy as np
import pytest

from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.train.prepare.grid import BeatGrid
from magenta_rt_py.train.prepare.manifest import ManifestEntry
from magenta_rt_py.train.prepare.measured import Measured
from magenta_rt_py.train.prepare.words import LONGEST_CAPTION, captions_for, tag_captions

HEARD = Measured(
    grid=BeatGrid(bpm=128.2, coherence=0.5, first_bar_samples=None),
    key=21,
    centroid_hz=np.full(4, 3000.0, np.float32),
    onset_rate=np.full(4, 7.0, np.float32),
)


def entry(path, tags=None, sidecar=""):
    return ManifestEntry(
        path=path, bytes=1, mtime=0, hash="", frames=1, rate=1, channels=1, tags=tags or {}, sidecar=sidecar
    )  # fmt: skip


def test_folder_and_name_with_what_was_heard(tmp_path):
    found = captions_for(entry("Deep House/01 - Night_Drive.wav"), tmp_path, HEARD, count=4)
    assert found == [
        "deep house night drive, bright, busy, upbeat, 128 bpm",
        "deep house night drive",
        "deep house",
        "bright, busy, upbeat, 128 bpm, A minor",
    ]


def test_tags_come_before_names_and_say_nothing_of_who_ripped_it(tmp_path):
    tags = {"genre": "Dub Techno", "artist": "Me", "title": "Track 01", "comment": "ripped with EAC, www.example.com"}
    assert tag_captions(tags) == ["dub techno", "dub techno by Me"]
    assert captions_for(entry("x/a.wav", tags), tmp_path, None, count=2) == ["dub techno", "dub techno by Me"]


def test_a_sidecar_stands_for_all_names(tmp_path):
    (tmp_path / "a.txt").write_text("slow dub\n\nwarm bass\n")
    found = captions_for(entry("a.wav", {"genre": "Pop"}, sidecar="1"), tmp_path, None, count=5)
    assert found == ["slow dub", "warm bass", "slow dub", "warm bass", "slow dub"]


def test_a_broken_sidecar_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(AudioFormatError, match="a.json"):
        captions_for(entry("a.wav", sidecar="1"), tmp_path, None, count=1)


def test_an_endless_caption_is_cut_at_a_word(tmp_path):
    (tmp_path / "a.txt").write_text("word " * 3000)
    (found,) = captions_for(entry("a.wav", sidecar="1"), tmp_path, None, count=1)
    assert len(found) <= LONGEST_CAPTION and found.endswith("word")
