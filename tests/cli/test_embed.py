"""`mrtpy embed`: embeddings, codes and cosines."""

import json

import numpy as np
import pytest

from magenta_rt_py.cli.embed import cosine_matrix


def test_text_and_audio(run, tiny_bundle, loop):
    code, text, err = run("embed", "techno", loop, "techno", "--bundle", tiny_bundle, "--json")
    assert (code, err) == (0, "")
    report = json.loads(text)
    assert [entry["prompt"] for entry in report["prompts"]] == ["techno", str(loop), "techno"]
    assert report["prompts"][0]["embedding"] == report["prompts"][2]["embedding"]
    assert len(report["prompts"][0]["codes"]) == 6
    cosines = np.array(report["cosines"])
    np.testing.assert_allclose(np.diag(cosines), 1.0, atol=1e-5)
    assert cosines[0, 2] == pytest.approx(1.0, abs=1e-5)
    assert abs(cosines[0, 1]) < 0.999


def test_lines_for_people(run, tiny_bundle):
    code, text, _ = run("embed", "techno", "solo piano", "--bundle", tiny_bundle)
    assert code == 0
    assert "cosines:" in text
    assert text.count("codes") == 1 + 1
    assert "cosines" not in run("embed", "techno", "--bundle", tiny_bundle)[1]


def test_cosines():
    matrix = cosine_matrix(np.array([[1, 0], [0, 2], [3, 3], [0, 0]], np.float32))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(matrix, [[1, 0, half, 0], [0, 1, half, 0], [half, half, 1, 0], [0, 0, 0, 0]], atol=1e-6)


def test_refuses(refuse, tiny_bundle, tmp_path):
    assert "empty prompt" in refuse("embed", " ", "--bundle", tiny_bundle)
    assert "10000 characters" in refuse("embed", "x" * 10_000, "--bundle", tiny_bundle)
    assert "gone.flac" in refuse("embed", "gone.flac", "--bundle", tiny_bundle)
    assert "nowhere" in refuse("embed", "a", "--bundle", tmp_path / "nowhere")
    assert "required" in refuse("embed", "--bundle", tiny_bundle)
