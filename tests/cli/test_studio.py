"""`mrtpy studio`: a piece and its labels in files."""

import json

import numpy as np

from magenta_rt_py import audio
from magenta_rt_py.train.studio import make_piece


def test_a_piece_and_its_labels_are_written(run, tmp_path):
    out, labels = tmp_path / "piece.flac", tmp_path / "labels.json"
    code, printed, _ = run("studio", "--genre", "chiptune", "--seed", 3, "--seconds", 2, "--out", out, "--labels", labels)
    assert code == 0 and "chiptune" in printed
    expected = make_piece(3, genre="chiptune", seconds=2.0)
    assert json.loads(labels.read_text()) == expected.label.as_dict()
    written = audio.read(out)
    assert written.sample_rate == 48_000
    np.testing.assert_allclose(written.samples, expected.samples, atol=1e-3)


def test_the_report_is_json_on_request(run, tmp_path):
    code, printed, _ = run("studio", "--genre", "chiptune", "--seconds", 1, "--out", tmp_path / "p.wav", "--json")
    report = json.loads(printed)
    assert code == 0 and report["genre"] == "chiptune" and report["labels"] is None


def test_bad_requests_are_one_line(refuse, tmp_path):
    assert "polka" in refuse("studio", "--genre", "polka", "--out", tmp_path / "p.wav")
    assert "seconds" in refuse("studio", "--genre", "chiptune", "--seconds", -1, "--out", tmp_path / "p.wav")
