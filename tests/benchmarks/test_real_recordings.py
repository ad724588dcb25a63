"""The table of free recordings, how they are found and checked, and what is made of their metrics."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def recordings(root, monkeypatch):
    """benchmarks/real_recordings.py as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("real_recordings")


def test_the_table_has_enough_recordings_of_enough_kinds(recordings):
    table = recordings.RECORDINGS
    assert len(table) >= 10 and len({row.package for row in table}) >= 4
    assert {row.kind for row in table} >= {"band", "orchestra", "electronic", "voice", "solo"}
    assert len({row.name for row in table}) == len({row.sha256 for row in table}) == len(table)
    assert all(re.fullmatch("[0-9a-f]{64}", row.sha256) and not row.path.startswith("/") for row in table)


def test_every_licence_is_free_and_documented(recordings, root):
    page = (root / "docs" / "sources.md").read_text()
    for row in recordings.RECORDINGS:
        assert row.licence in {"CC0", "MIT", "CC-BY-SA-3.0", "GPL-2", "GPL-2+"}
        assert re.search(rf"`{row.package}`.*{re.escape(row.licence)}", page), row


@pytest.fixture
def row(recordings):
    content = b"not really music"
    digest = recordings.hashlib.sha256(content).hexdigest()
    return content, recordings.Recording("piece", "band", "some-music", "usr/share/piece.ogg", "CC0", digest)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_an_installed_package_is_used_and_else_the_unpacked_one(recordings, row, tmp_path):
    content, recording = row
    unpacked = write(tmp_path / "folder" / "some-music" / recording.path, content)
    assert recordings.recording_path(recording, tmp_path / "folder", root=tmp_path / "none") == unpacked
    installed = write(tmp_path / "system" / recording.path, content)
    assert recordings.recording_path(recording, tmp_path / "folder", root=tmp_path / "system") == installed


def test_another_file_under_the_same_name_is_refused(recordings, row, tmp_path):
    _, recording = row
    write(tmp_path / recording.path, b"something else")
    with pytest.raises(ValueError, match="got sha256 .* for piece.ogg, expected .*use some-music of Debian 12"):
        recordings.recording_path(recording, tmp_path / "folder", root=tmp_path)


def test_a_package_that_cannot_be_fetched_is_named(recordings, row, tmp_path, monkeypatch):
    def refuse(*arguments, check, capture_output, cwd):
        raise OSError("no such program")

    monkeypatch.setattr(recordings.subprocess, "run", refuse)
    with pytest.raises(RuntimeError, match="cannot fetch the Debian package some-music .*; install it"):
        recordings.recording_path(row[1], tmp_path, root=tmp_path / "none")


def test_the_middle_is_taken_and_short_recordings_whole(recordings):
    ramp = np.repeat(np.arange(48_000 * 12, dtype=np.float32)[:, None], 2, axis=1)
    middle = recordings.excerpt(ramp, seconds=10.0)
    assert middle[0, 0] == 48_000 and len(middle) == 480_000
    np.testing.assert_array_equal(recordings.excerpt(ramp[:1000], seconds=10.0), ramp[:1000])


def test_the_summary_compares_means(recordings):
    def metrics(mel):
        return {"mel_distance_db": mel, "onset_correlation": 1.0 / mel}

    real = [{str(n): metrics(mel) for n in recordings.LEVELS} for mel in (2.0, 4.0)]
    true = {str(n): [metrics(2.0)] * 5 for n in recordings.LEVELS}
    means = recordings.summary(real, true)
    assert means["ratio"]["16"] == 1.5 and means["recordings"] == 2 and means["studio_pieces"] == 5
    assert means["onset_correlation"]["4"] == {"recordings": 0.375, "studio": 0.5}
