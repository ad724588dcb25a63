"""`mrtpy codec`: there and back, fewer levels, and files that hold no codes."""

import json

import numpy as np
import pytest

from magenta_rt_py import audio


def test_there_and_back(run, tiny_bundle, loop, tmp_path):
    codes, out = tmp_path / "codes.npz", tmp_path / "back.wav"
    code, text, err = run("codec", "encode", loop, codes, "--bundle", tiny_bundle, "--json")
    assert (code, err) == (0, "")
    report = json.loads(text)
    assert (report["frames"], report["levels"], report["seconds"]) == (25, 16, 1.0)
    assert report["kilobits_per_second"] == pytest.approx(4.0)
    code, text, err = run("codec", "decode", codes, out, "--bundle", tiny_bundle)
    assert (code, err) == (0, "")
    assert "25 frames x 16 levels" in text
    assert audio.read(out).samples.shape == (48_000, 2)


def test_fewer_levels(run, refuse, tiny_bundle, loop, tmp_path):
    codes = tmp_path / "codes.npz"
    assert run("codec", "encode", loop, codes, "--levels", "4", "--bundle", tiny_bundle)[0] == 0
    assert np.load(codes)["codes"].shape == (25, 4)
    assert run("codec", "decode", codes, tmp_path / "b.wav", "--levels", "2", "--bundle", tiny_bundle)[0] == 0
    for levels in ("5", "0"):
        line = refuse("codec", "decode", codes, tmp_path / "b.wav", "--levels", levels, "--bundle", tiny_bundle)
        assert "give 1 .. 4" in line
    assert "give 1 .. 16" in refuse("codec", "encode", loop, codes, "--levels", "17", "--bundle", tiny_bundle)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"codes": np.zeros((3, 17), np.int16), "num_samples": 100}, "17 levels"),
        ({"codes": np.full((3, 4), 1024, np.int16), "num_samples": 100}, "codes up to 1024"),
        ({"codes": np.full((3, 4), -1, np.int16), "num_samples": 100}, "a code of -1"),
        ({"codes": np.zeros((3, 4), np.float32), "num_samples": 100}, "float32"),
        ({"codes": np.zeros(3, np.int16), "num_samples": 100}, "shape (3,)"),
        ({"codes": np.zeros((0, 4), np.int16), "num_samples": 100}, "shape (0, 4)"),
        ({"codes": np.zeros((3, 4), np.int16), "num_samples": 0}, "0 samples"),
        ({"codes": np.zeros((3, 4), np.int16)}, "holds no codes"),
        ({"other": np.zeros((3, 4), np.int16)}, "holds no codes"),
        ({"codes": np.array([{}], dtype=object), "num_samples": 100}, "holds no codes"),
    ],
)
def test_wrong_codes(refuse, tiny_bundle, tmp_path, arrays, message):
    path = tmp_path / "codes.npz"
    np.savez(path, **arrays)
    assert message in refuse("codec", "decode", path, tmp_path / "out.wav", "--bundle", tiny_bundle)
    assert not (tmp_path / "out.wav").exists()


def test_files_of_another_kind(refuse, tiny_bundle, loop, tmp_path):
    text = tmp_path / "codes.npz"
    text.write_text("hello")
    assert "holds no codes" in refuse("codec", "decode", text, tmp_path / "out.wav", "--bundle", tiny_bundle)
    assert "holds no codes" in refuse("codec", "decode", loop, tmp_path / "out.wav", "--bundle", tiny_bundle)
    assert "does not exist" in refuse(
        "codec", "decode", tmp_path / "no.npz", tmp_path / "out.wav", "--bundle", tiny_bundle
    )
    assert "codes.npz" in refuse("codec", "encode", text, tmp_path / "new.npz", "--bundle", tiny_bundle)
    assert "ending is .bin" in refuse("codec", "encode", loop, tmp_path / "new.bin", "--bundle", tiny_bundle)
