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


def test_a_printed_card_renders_as_the_piece_of_its_seed(run, tmp_path):
    code, printed, _ = run("studio", "--genre", "chiptune", "--seed", 3, "--seconds", 2, "--print-card")
    assert code == 0 and json.loads(printed)["genre"] == "chiptune"
    card, out = tmp_path / "card.json", tmp_path / "piece.flac"
    card.write_text(printed)
    assert run("studio", "--card", card, "--out", out)[0] == 0
    np.testing.assert_allclose(audio.read(out).samples, make_piece(3, genre="chiptune", seconds=2.0).samples, atol=1e-3)
    assert run("studio", "--card", card, "--seconds", 1, "--out", out)[0] == 0
    assert len(audio.read(out).samples) == 48_000
    card.write_text(json.dumps(json.loads(printed) | {"cast": {"lead": "flute"}, "drums": False}))
    code, printed, _ = run("studio", "--card", card, "--out", out, "--json")
    assert code == 0 and json.loads(printed)["instruments"] == ["flute"]


def test_kinds_and_transitions(run, tmp_path):
    out, labels = tmp_path / "piece.wav", tmp_path / "labels.json"
    code, printed, _ = run("studio", "--genre", "chiptune", "--kind", "stem", "--seconds", 1, "--out", out, "--json")
    assert code == 0 and json.loads(printed)["kind"] == "stem"
    code, printed, _ = run("studio", "--genre", "chiptune", "--to", "techno", "--seconds", 9, "--out", out,
                           "--labels", labels)  # fmt: skip
    assert code == 0 and "chiptune to techno" in printed
    assert [section["genre"] for section in json.loads(labels.read_text())["sections"]] == ["chiptune", "techno"]


def test_bad_requests_are_one_line(refuse, tmp_path):
    out = tmp_path / "p.wav"
    card = tmp_path / "card.json"
    card.write_text("{}")
    assert "missing" in refuse("studio", "--card", card, "--out", out)
    assert "--genre" in refuse("studio", "--card", card, "--genre", "rock", "--out", out)
    assert "nowhere" in refuse("studio", "--card", tmp_path / "nowhere.json", "--out", out)
    assert "--genre" in refuse("studio", "--to", "rock", "--out", out)
    assert "--kind" in refuse("studio", "--genre", "rock", "--to", "techno", "--kind", "solo", "--out", out)
    assert "--out" in refuse("studio", "--genre", "rock")
    assert "polka" in refuse("studio", "--genre", "polka", "--out", tmp_path / "p.wav")
    assert "seconds" in refuse("studio", "--genre", "chiptune", "--seconds", -1, "--out", tmp_path / "p.wav")
