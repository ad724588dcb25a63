"""The manifest: headers and hashes, what is left out at once, and which files are held out."""

import os

import numpy as np
import pytest
import soundfile

from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.train.prepare.manifest import EDGE_BYTES, ManifestEntry, edge_hash, held_out_paths, probe, scan
from tests.train.prepare.sounds import RATE, music


def entry(path, seconds):
    return ManifestEntry(
        path=path, bytes=1, mtime=0, hash="h", frames=round(seconds * RATE), rate=RATE, channels=2, tags={}, sidecar=""
    )  # fmt: skip


def test_a_line_of_the_manifest(tmp_path):
    path = tmp_path / "a.flac"
    with soundfile.SoundFile(path, "w", 44_100, 1, format="FLAC") as file:
        file.title, file.genre, file.artist = "Night Drive", "Deep House", "Me"
        file.write(music(5, 1, 44_100)[:, 0])
    found = probe(path, "a.flac", shortest_seconds=4.0)
    assert (found.frames, found.rate, found.channels) == (5 * 44_100, 44_100, 1)
    assert found.tags == {"title": "Night Drive", "genre": "Deep House", "artist": "Me"}
    assert found.bytes == path.stat().st_size and found.hash == edge_hash(path) and found.sidecar == ""


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff", ".caf", ".au", ".w64", ".opus"])
def test_formats_that_libsndfile_reads_are_found(tmp_path, suffix):
    kind = {"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {}
    soundfile.write(tmp_path / f"a{suffix}", music(5, 1), RATE, **kind)
    manifest = scan(tmp_path, shortest_seconds=4.0)
    assert [one.path for one in manifest.entries] == [f"a{suffix}"] and manifest.skipped == []
    assert manifest.entries[0].seconds == pytest.approx(5, abs=0.1)


def test_what_is_left_out_at_once_is_named(tmp_path):
    soundfile.write(tmp_path / "a.wav", music(5, 1), RATE)
    (tmp_path / "copy.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    soundfile.write(tmp_path / "short.wav", music(2, 2), RATE)
    (tmp_path / "broken.mp3").write_bytes(b"no music" * 500)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "phone.m4a").write_bytes(b"ftyp" * 100)
    manifest = scan(tmp_path, shortest_seconds=4.0)
    assert [one.path for one in manifest.entries] == ["a.wav"]
    reasons = {one.path: one.reason for one in manifest.skipped}
    assert set(reasons) == {"copy.wav", "short.wav", "broken.mp3", "empty.wav", "phone.m4a"}
    assert reasons["copy.wav"] == "the same sound as a.wav" and "2.0 s" in reasons["short.wav"]
    assert "not readable" in reasons["broken.mp3"] and "convert" in reasons["phone.m4a"]


def test_three_hundred_files_of_one_name_are_three_hundred_files(tmp_path):
    for number in range(300):
        path = tmp_path / f"{number:03}" / "loop.wav"
        path.parent.mkdir()
        soundfile.write(path, np.full((800, 1), number / 400, np.float32), 8000)
    found = scan(tmp_path, shortest_seconds=0.05).entries
    assert len(found) == len({one.path for one in found}) == len({one.fingerprint for one in found}) == 300


def test_the_fingerprint_follows_sound_and_words_and_not_the_clock(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, music(5, 1), RATE)
    first = probe(path, "a.wav", shortest_seconds=4.0).fingerprint
    os.utime(path, (1, 1))
    assert probe(path, "a.wav", shortest_seconds=4.0).fingerprint == first
    (tmp_path / "a.txt").write_text("slow dub")
    worded = probe(path, "a.wav", shortest_seconds=4.0).fingerprint
    assert worded != first
    soundfile.write(path, music(5, 2), RATE)
    assert probe(path, "a.wav", shortest_seconds=4.0).fingerprint not in (first, worded)


def test_the_hash_covers_both_ends_of_a_long_file(tmp_path):
    path = tmp_path / "long"
    whole = bytearray(b"\1" * (3 * EDGE_BYTES))
    path.write_bytes(whole)
    first = edge_hash(path)
    for place, differs in ((0, True), (EDGE_BYTES + 5, False), (len(whole) - 1, True)):
        changed = bytearray(whole)
        changed[place] = 2
        path.write_bytes(changed)
        assert (edge_hash(path) != first) == differs, place
    path.write_bytes(b"\1" * (EDGE_BYTES + 10))
    shorter = edge_hash(path)
    path.write_bytes(b"\1" * (EDGE_BYTES + 9) + b"\2")
    assert edge_hash(path) != shorter


def test_a_prepared_folder_is_no_music(tmp_path):
    soundfile.write(tmp_path / "a.wav", music(5, 1), RATE)
    for name in ("index.json", "manifest.jsonl"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(AudioFormatError, match="prepared folder"):
        scan(tmp_path, shortest_seconds=4.0)
    with pytest.raises(AudioFormatError, match="no directory"):
        scan(tmp_path / "none", shortest_seconds=4.0)


def test_the_limit_stops_at_a_length(tmp_path):
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", music(5, number), RATE)
    assert len(scan(tmp_path, shortest_seconds=4.0, limit_seconds=8.0).entries) == 2


def test_held_out_files_are_whole_few_and_stable():
    entries = [entry(f"{number}.wav", 180) for number in range(40)]
    apart = held_out_paths(entries, share=0.1, longest_seconds=1e6)
    assert len(apart) == 4
    assert held_out_paths(entries[::-1], share=0.1, longest_seconds=1e6) == apart
    more = held_out_paths([*entries, entry("new.wav", 180)], share=0.1, longest_seconds=1e6)
    assert len(more & apart) >= 3
    assert sum(180 for _ in held_out_paths(entries, share=0.5, longest_seconds=400.0)) <= 600


def test_where_files_are_few_and_long_none_is_held_out():
    assert held_out_paths([entry("a.wav", 600)], share=0.1, longest_seconds=1e6) == set()
    assert held_out_paths([entry("a.wav", 600), entry("b.wav", 610)], share=0.1, longest_seconds=1e6) == set()
    assert held_out_paths([entry("a.wav", 600), entry("b.wav", 100)], share=0.1, longest_seconds=1e6) == {"b.wav"}
