"""`mrtpy prepare`: a folder to training data, with a table; and its refusals."""

import argparse
import json

import numpy as np
import pytest
import soundfile

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.cli.prepare import parse_duration
from magenta_rt_py.train.data import load_dataset
from magenta_rt_py.train.prepare import open_prepared


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number in range(3):
        soundfile.write(folder / f"{number}.flac", np.random.default_rng(number).normal(0, 0.1, (5 * 44_100, 1)), 44_100)
    soundfile.write(folder / "short.wav", np.zeros((900, 1)), 44_100)
    return folder


def pieces_of(folder, bundle):
    """Pieces to train on, and held out."""
    prepared = open_prepared(folder, load_bundle(bundle))
    return load_dataset(prepared.shard_paths).pieces, load_dataset(prepared.held_out_paths).pieces


def test_a_folder_with_a_table_and_the_next_step(run, music, tiny_bundle, tmp_path):
    code, out, err = run("prepare", music, "--bundle", tiny_bundle, "--export", "tfrecord")
    assert code == 0, err
    assert "3 files, 1 skipped" in out and "short.wav" in out and "mel distance" in out
    assert f"next: mrtpy finetune --from {tiny_bundle} --data {tmp_path / 'mine-prepared'} --out my-model" in out
    assert (tmp_path / "mine-prepared" / "mine-prepared_examples.recordio").stat().st_size > 3 * 125 * 16 * 4
    assert pieces_of(tmp_path / "mine-prepared", tiny_bundle) == (2 * 3, 1), "training files are heard at three speeds"
    code, out, err = run("prepare", music, "--bundle", tiny_bundle, "--json")
    report = json.loads(out)
    assert code == 0 and report["files"] == 3 and report["seconds"] == 15 and list(report["skipped"]) == ["short.wav"]


def test_copies_at_other_speeds_can_be_left_out(run, music, tiny_bundle, tmp_path):
    code, _, err = run("prepare", music, "--bundle", tiny_bundle, "--out", tmp_path / "plain", "--no-copies", "--json")
    assert code == 0, err
    assert pieces_of(tmp_path / "plain", tiny_bundle) == (2, 1)


def test_a_limit_takes_the_first_files(run, music, tiny_bundle, tmp_path):
    code, out, _ = run("prepare", music, "--bundle", tiny_bundle, "--out", tmp_path / "out", "--limit", "6s", "--json")
    assert code == 0 and json.loads(out)["files"] == 2


def test_the_prepared_folder_lies_beside_the_music_wherever_one_is(run, music, tiny_bundle, tmp_path, monkeypatch):
    dotted = music.rename(tmp_path / "songs vol. 2")
    monkeypatch.chdir(dotted)
    code, out, _ = run("prepare", ".", "--bundle", tiny_bundle, "--limit", "3s", "--json")
    assert code == 0 and json.loads(out)["out"] == str(tmp_path / "songs vol. 2-prepared")


def test_refusals_are_one_line(refuse, music, tiny_bundle, tmp_path):
    assert "no directory" in refuse("prepare", tmp_path / "none", "--bundle", tiny_bundle)
    assert "audio folder itself" in refuse("prepare", music, "--out", music, "--bundle", tiny_bundle)
    assert "no duration" in refuse("prepare", music, "--limit", "soon", "--bundle", tiny_bundle)
    assert "held_out_share" in refuse("prepare", music, "--held-out", "2", "--bundle", tiny_bundle)
    (tmp_path / "a.recordio").write_bytes(b"no records")
    assert "--held-out" in refuse("prepare", tmp_path / "a.recordio", "--held-out", "0.2", "--bundle", tiny_bundle)
    assert "0 workers" in refuse("prepare", music, "--workers", "0", "--bundle", tiny_bundle, "--json")
    assert "damaged head" in refuse("prepare", tmp_path / "a.recordio", "--out", tmp_path / "b", "--bundle", tiny_bundle)


def test_durations():
    assert [parse_duration(text) for text in ("90s", "10m", "1.5h", "2", "3 min")] == [90, 600, 5400, 120, 180]
    for text in ("", "0m", "-3m", "ten"):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_duration(text)
