"""Files are whole or not there: also on a disk that is full."""

import errno
import os
import subprocess

import pytest

from magenta_rt_py.train.disk import write_whole, writing_whole


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """A folder with room for 64 KB: a real one where this process may mount, else a disk that says no."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = os.geteuid() == 0 and (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True).returncode == 0
    )
    if not mounted:

        def refuse(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", refuse)
    yield place
    if mounted:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_leaves_what_was_there_and_nothing_else(full_disk):
    (full_disk / "a").write_bytes(b"before")
    with pytest.raises(OSError, match="make room") as caught:
        write_whole(full_disk / "a", b"x" * 200_000)
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in full_disk.iterdir()] == ["a"]
    assert (full_disk / "a").read_bytes() == b"before"


def test_it_is_durable_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(os, "fsync", lambda handle: calls.append("fsync"))
    monkeypatch.setattr(os, "replace", lambda source, target: calls.append("replace"))
    write_whole(tmp_path / "a", b"x")
    assert calls[:2] == ["fsync", "replace"]


def test_an_error_of_what_is_read_meanwhile_stays_what_it_is(tmp_path):
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(FileNotFoundError, match="no such source"), writing_whole(tmp_path / "a") as file:
        file.write((tmp_path / "no such source").read_bytes())
    with pytest.raises(ValueError, match="odd"), writing_whole(tmp_path / "a") as file:
        file.write(b"half")
        raise ValueError("odd")
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"before"
