"""A folder is prepared whole or not at all: killed at any moment, on a full disk, with files that come and go."""

import dataclasses
import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from magenta_rt_py.errors import AudioFormatError, PreparedDataError
from magenta_rt_py.train import disk
from magenta_rt_py.train.data import load_split
from magenta_rt_py.train.prepare import open_prepared, run, shards
from magenta_rt_py.train.prepare.run import prepare_folder
from tests.train.prepare.sounds import RATE, music
from tests.train.prepare.stand_ins import BRIEF, content


class Killed(BaseException):
    """No handler runs when a process is killed; none catches this."""


def test_what_is_prepared_is_read_by_training(tmp_path, folder, bundle, config):
    index = prepare_folder(folder, tmp_path / "out", bundle, config=config)
    prepared = open_prepared(tmp_path / "out", bundle)
    training, held_out = load_split(prepared.shard_paths, prepared.held_out_paths)
    assert training.pieces + held_out.pieces == 6 and held_out.pieces >= 1
    assert training.levels == 16 and (training.codes.counts == 125).all()
    assert {used.path for used in index.used if used.held_out} == {
        entry.path for plan in run.start(folder, tmp_path / "out", bundle, config=config).plans if plan.held_out
        for entry in plan.entries
    }  # fmt: skip
    assert prepared.index == index and len(prepared.fingerprint) == 16
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [line["path"] for line in lines] == sorted(used.path for used in index.used)


def test_killed_at_any_write_it_ends_with_the_same_bytes(tmp_path, brief_folder, bundle, fast, monkeypatch):
    prepare_folder(brief_folder, tmp_path / "whole", bundle, config=BRIEF)
    wanted, files = content(tmp_path / "whole"), len(fast)
    writes = [0]
    replace, sync = os.replace, os.fsync

    def dying(moment):
        def act(original):
            def call(*arguments):
                writes[0] += 1
                if writes[0] == moment:
                    raise Killed
                return original(*arguments)

            return call

        writes[0] = 0
        monkeypatch.setattr(disk.os, "replace", act(replace))
        monkeypatch.setattr(disk.os, "fsync", act(sync))

    moment, ended = 1, False
    while not ended:
        out = tmp_path / f"killed {moment}"
        fast.clear()
        dying(moment)
        try:
            prepare_folder(brief_folder, out, bundle, config=BRIEF)
            ended = True
        except Killed:
            monkeypatch.setattr(disk.os, "replace", replace)
            monkeypatch.setattr(disk.os, "fsync", sync)
            if (out / "index.json").exists():  # killed behind the last write: all is there
                assert open_prepared(out, bundle).shard_paths
            elif out.exists():
                with pytest.raises(PreparedDataError, match="no index"):
                    open_prepared(out, bundle)
            prepare_folder(brief_folder, out, bundle, config=BRIEF)
        assert content(out) == wanted, moment
        largest = max(len(plan.entries) for plan in run.start(brief_folder, out, bundle, config=BRIEF).plans)
        assert len(fast) <= files + largest, moment  # at most one shard was made twice
        moment += 1
    assert moment > 10


KILLS = """
import os, random, signal, sys, time
from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.train.prepare import run
from tests.train.prepare.stand_ins import BRIEF, fake_encoders

folder, out, bundle = sys.argv[1:]
run.load_encoders = lambda _: fake_encoders()
bundle = load_bundle(bundle)

def prepare(name):
    child = os.fork()
    if child == 0:
        run.prepare_folder(folder, f"{out}/{name}", bundle, config=BRIEF)
        os._exit(0)
    return child

began = time.monotonic()
assert os.waitpid(prepare("whole"), 0)[1] == 0
took = time.monotonic() - began
moments = random.Random(7)
for number in range(10):
    child = prepare(f"killed {number}")
    time.sleep(moments.uniform(0.0, took))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
"""Forks before anything has threads, so that ten runs cost one import."""


def test_killed_for_real_at_ten_moments_it_loses_one_shard_at_most(tmp_path, brief_folder, bundle, fast, root):
    program = [sys.executable, "-c", KILLS, str(brief_folder), str(tmp_path), str(bundle.path)]
    subprocess.run(program, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=True)
    outs = [tmp_path / f"killed {number}" for number in range(10)]
    unfinished = [out for out in outs if not (out / "index.json").exists()]
    assert unfinished
    for out in outs:
        stood = {path: path.stat().st_mtime_ns for path in out.glob("shards/*.npz")}
        missing = run.start(brief_folder, out, bundle, config=BRIEF).missing
        fast.clear()
        prepare_folder(brief_folder, out, bundle, config=BRIEF)
        assert content(out) == content(tmp_path / "whole"), out.name
        assert len(fast) == sum(len(plan.entries) for plan in missing)
        assert all(path.stat().st_mtime_ns == when for path, when in stood.items())


def test_only_what_changed_is_done_again(tmp_path, folder, bundle, config, fast):
    out = tmp_path / "out"
    prepare_folder(folder, out, bundle, config=config)
    assert len(fast) == 6
    fast.clear()
    prepare_folder(folder, out, bundle, config=config)
    assert fast == []
    soundfile.write(folder / "jazz" / "new.wav", music(5, 9), RATE)
    soundfile.write(folder / "dub" / "track 1.wav", music(5, 8), RATE)
    (folder / "house" / "track 0.wav").unlink()
    (folder / "house" / "track 3.txt").write_text("other words")
    index = prepare_folder(folder, out, bundle, config=config)
    assert sorted(fast) == ["dub track", "jazz new", "other words"]
    assert "jazz/new.wav" in {used.path for used in index.used}
    assert "house/track 0.wav" not in {used.path for used in index.used}
    prepare_folder(folder, tmp_path / "anew", bundle, config=config)
    assert content(out) == content(tmp_path / "anew")


def test_bad_files_are_named_and_the_rest_is_used(tmp_path, folder, bundle, config, fast):
    soundfile.write(folder / "silence.wav", np.zeros((5 * RATE, 2)), RATE)
    soundfile.write(folder / "phone.wav", music(6, 3, 8000)[:, 0], 8000)
    soundfile.write(folder / "short.wav", music(2, 3), RATE)
    (folder / "broken.flac").write_bytes(b"fLaC" + bytes(3000))
    cut_off = (folder / "dub" / "track 1.wav").read_bytes()
    (folder / "nan.wav").write_bytes(cut_off)
    soundfile.write(folder / "nan.wav", np.full((5 * RATE, 2), np.nan), RATE, subtype="FLOAT")
    index = prepare_folder(folder, tmp_path / "out", bundle, config=config)
    reasons = {entry.path: entry.reason for entry in index.skipped}
    assert set(reasons) == {"silence.wav", "short.wav", "broken.flac", "nan.wav"}
    assert "silent" in reasons["silence.wav"] and "NaN" in reasons["nan.wav"]
    notes = {used.path: used.notes for used in index.used}
    assert notes.pop("phone.wav") == ["band limited (8000 Hz)"]
    assert len(notes) == 6 and not any(notes.values())


def test_a_full_disk_stops_it_and_leaves_whole_shards(tmp_path, folder, bundle, config, fast, monkeypatch):
    write, written = disk.write_whole, []

    def fill(path, data):
        if path.suffix == ".npz" and len(written) == 1:
            raise OSError(errno.ENOSPC, f"{path} could not be written (No space left on device); make room")
        written.extend([path] if path.suffix == ".npz" else [])
        write(path, data)

    monkeypatch.setattr(shards, "write_whole", fill)
    with pytest.raises(OSError, match="make room"):
        prepare_folder(folder, tmp_path / "out", bundle, config=config)
    assert not list((tmp_path / "out").rglob("*.tmp"))
    with pytest.raises(PreparedDataError, match="was stopped"):
        open_prepared(tmp_path / "out", bundle)
    monkeypatch.setattr(shards, "write_whole", write)
    prepare_folder(folder, tmp_path / "out", bundle, config=config)
    prepare_folder(folder, tmp_path / "whole", bundle, config=config)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_tokens_of_another_bundle_are_refused(tmp_path, folder, bundle, other_bundle, config, fast):
    out = tmp_path / "out"
    prepare_folder(folder, out, bundle, config=config)
    before = content(out)
    with pytest.raises(PreparedDataError, match="another codec"):
        open_prepared(out, other_bundle)
    with pytest.raises(PreparedDataError, match="another bundle"):
        prepare_folder(folder, out, other_bundle, config=config)
    assert content(out) == before


def test_folders_that_are_not_ours_are_left_alone(tmp_path, folder, bundle, config, fast):
    with pytest.raises(PreparedDataError, match="audio folder itself"):
        prepare_folder(folder, folder, bundle, config=config)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(PreparedDataError, match="no prepared folder"):
        prepare_folder(folder, tmp_path / "full", bundle, config=config)
    prepare_folder(folder, tmp_path / "out", bundle, config=config)
    with pytest.raises(AudioFormatError, match="prepared folder"):
        prepare_folder(tmp_path / "out", tmp_path / "again", bundle, config=config)
    assert not (tmp_path / "again").exists()


def test_what_was_damaged_is_noticed(tmp_path, folder, bundle, config, fast):
    out = tmp_path / "out"
    prepare_folder(folder, out, bundle, config=config)
    shard = open_prepared(out, bundle).shard_paths[0]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + b"?")
    with pytest.raises(PreparedDataError, match="was changed"):
        open_prepared(out, bundle)
    prepare_folder(folder, out, bundle, config=config)
    assert shard.read_bytes() == whole
    shard.unlink()
    with pytest.raises(PreparedDataError, match="cannot be read"):
        open_prepared(out, bundle)
    shard.with_suffix(".json").write_text("[]")
    prepare_folder(folder, out, bundle, config=config)
    assert shard.read_bytes() == whole and open_prepared(out, bundle).shard_paths
    for text in ("{", "[]", '{"format": "other", "format_version": 1}'):
        (out / "index.json").write_text(text)
        with pytest.raises(PreparedDataError, match="index.json"):
            open_prepared(out, bundle)


def test_a_folder_of_silence_ends_with_reasons_and_nothing_to_train_on(tmp_path, bundle, config, fast):
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "a.wav", np.zeros((5 * RATE, 2)), RATE)
    index = prepare_folder(tmp_path / "music", tmp_path / "out", bundle, config=config)
    assert index.shards == [] and "silent" in index.skipped[0].reason
    with pytest.raises(PreparedDataError, match="nothing to train on"):
        open_prepared(tmp_path / "out", bundle)


def test_other_settings_are_another_preparation_of_the_same_folder(tmp_path, folder, bundle, config, fast):
    prepare_folder(folder, tmp_path / "out", bundle, config=config)
    other = dataclasses.replace(config, captions_per_piece=2)
    prepare_folder(folder, tmp_path / "out", bundle, config=other)
    prepare_folder(folder, tmp_path / "anew", bundle, config=other)
    assert content(tmp_path / "out") == content(tmp_path / "anew")


def test_copies_are_further_pieces_and_count_as_no_music(tmp_path, folder, bundle, config):
    def prepared(name, minutes):
        chosen = dataclasses.replace(config, copies_below_minutes=minutes)
        index = prepare_folder(folder, tmp_path / name, bundle, config=chosen)
        return index, [np.load(tmp_path / name / shard.name) for shard in index.shards if not shard.held_out]

    alone, own = prepared("alone", 0.0)
    copied, more = prepared("copied", 60.0)
    pieces = [sum(shard.pieces for shard in index.shards if not shard.held_out) for index in (alone, copied)]
    assert pieces[1] == 3 * pieces[0] and copied.seconds(held_out=False) == alone.seconds(held_out=False)
    assert {used.path: used.seconds for used in copied.used} == {used.path: used.seconds for used in alone.used}
    # A file's copies lie behind it: as it is, 4 % longer, 4 % shorter.
    lengths = more[0]["lengths"][:3] / own[0]["lengths"][0]
    np.testing.assert_allclose(lengths, [1.0, 1 / 0.96, 1 / 1.04], atol=0.01)
    np.testing.assert_array_equal(more[0]["codes"][0], own[0]["codes"][0])
    assert (more[0]["codes"][1] != more[0]["codes"][0]).any()
    again, _ = prepared("alone", 60.0)
    assert sum(shard.pieces for shard in again.shards) == sum(shard.pieces for shard in copied.shards)
