"""The folder of recordings: names nobody can guess, owners, and a limit."""

import pytest

from magenta_rt_py.serve.recordings import Recordings


def add(recordings, owner, size, *, is_complete=True):
    file_id, path = recordings.add(owner, "take", suffix=".flac")
    path.write_bytes(b"x" * size)
    if is_complete:
        recordings.complete(file_id)
    return file_id


def test_only_its_owner_finds_a_complete_file(tmp_path):
    recordings = Recordings(tmp_path / "deep" / "folder", most_bytes=100)
    file_id = add(recordings, "a", 10, is_complete=False)
    for owner, wanted in (("a", file_id), ("b", file_id), ("a", "0" * 32), ("a", "../../etc/passwd"), ("a", "")):
        with pytest.raises(KeyError):
            recordings.find(owner, wanted)
    recordings.complete(file_id)
    recordings.complete("0" * 32)  # of nobody
    with pytest.raises(KeyError):
        recordings.find("b", file_id)
    found = recordings.find("a", file_id)
    assert found.name == "take.flac" and found.path == tmp_path / "deep" / "folder" / f"{file_id}.flac"
    assert len(file_id) == 32
    found.path.unlink()
    with pytest.raises(KeyError):
        recordings.find("a", file_id)


def test_the_oldest_complete_files_go_first(tmp_path):
    recordings = Recordings(tmp_path, most_bytes=100)
    writing = add(recordings, "a", 40, is_complete=False)
    old, young = add(recordings, "a", 40), add(recordings, "b", 40)
    assert recordings.trim()
    assert recordings.find("b", young)
    with pytest.raises(KeyError):
        recordings.find("a", old)
    big = add(recordings, "c", 90, is_complete=False)
    assert not recordings.trim()  # what is being written alone is too much
    assert {path.stem for path in tmp_path.iterdir()} == {writing, big}
    recordings.complete(big)
    assert recordings.trim() and recordings.newest("a", suffix=".flac").stem == writing
    assert recordings.newest("a", suffix=".jsonl") is None


def test_what_lies_there_already_is_left_alone(tmp_path):
    (tmp_path / ("0" * 32 + ".flac")).write_bytes(b"mine" * 100)
    recordings = Recordings(tmp_path, most_bytes=10)
    add(recordings, "a", 50, is_complete=False)
    recordings.trim()
    recordings.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["0" * 32 + ".flac"]
