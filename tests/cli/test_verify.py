"""`mrtpy verify`: the table, the exit code, and test vectors that cannot be had."""

import functools
import json
import re
import shlex
import textwrap
import types

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.cli.program import build_parser
from magenta_rt_py.generators import system
from magenta_rt_py.released import fetch as fetching
from magenta_rt_py.released import testdata
from magenta_rt_py.released.verify import verify
from tests.released.test_verify import write_codec_vectors, write_style_vectors


@pytest.fixture(scope="module")
def vectors(tiny_bundle, tmp_path_factory):
    """Test vectors that the tiny bundle itself made."""
    folder = tmp_path_factory.mktemp("vectors")
    bundle = load_bundle(tiny_bundle)
    write_codec_vectors(folder / testdata.CODEC_FOLDER, system.load_codec(bundle))
    write_style_vectors(folder / testdata.STYLE_FOLDER, system.load_style(bundle))
    return folder


def released(**kinds):
    """A bundle as far as the search for test vectors looks at it."""
    return types.SimpleNamespace(configs={part: {"kind": kind} for part, kind in kinds.items()})


def test_the_table(run, tiny_bundle, vectors):
    code, text, err = run("verify", tiny_bundle, "--testdata", vectors)
    assert (code, err) == (0, "")
    lines = text.splitlines()
    assert lines[0].split() == ["part", "check", "wanted", "measured"]
    assert any(line.startswith("codec") and "320 of 320" in line and line.endswith("ok") for line in lines)
    assert any(line.startswith("lm") and "not compared: " in line for line in lines)
    assert lines[-1] == "6 comparisons are right, 1 not compared"


def test_a_difference_is_exit_code_1(run, tiny_bundle, vectors, tmp_path):
    import shutil

    changed = tmp_path / "changed"
    shutil.copytree(vectors, changed)
    codes = np.load(changed / testdata.CODEC_FOLDER / "tokens.npy")
    codes[0, 0, 0] ^= 1
    np.save(changed / testdata.CODEC_FOLDER / "tokens.npy", codes)
    code, text, err = run("verify", tiny_bundle, "--testdata", changed)
    assert (code, err) == (1, "")
    assert "DIFFERS: first at clip 0, frame 0, level 0" in text
    code, text, _ = run("verify", tiny_bundle, "--testdata", changed, "--json")
    report = json.loads(text)
    assert code == 1
    assert report["ok"] is False
    # Another code sounds different as well.
    assert [row["part"] for row in report["rows"] if row["ok"] is False] == ["codec", "codec"]


def test_a_model_that_is_not_the_released_one_fetches_nothing(run, tiny_bundle, monkeypatch):
    monkeypatch.setattr(fetching, "fetch", lambda *arguments, **options: pytest.fail("asked for test vectors"))
    code, text, err = run("verify", tiny_bundle)
    assert (code, err) == (0, "")
    assert "not the released model" in text


def test_vectors_that_cannot_be_fetched_are_a_reason_not_an_error(tmp_path, monkeypatch):
    from magenta_rt_py.cli.verify import find_vectors

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    local = functools.partial(fetching.fetch, endpoint="http://127.0.0.1:9", cache=tmp_path)
    monkeypatch.setattr(fetching, "fetch", local)
    folder, reason = find_vectors(released(codec="spectrostream"), offline=False)
    assert folder is None
    assert "cannot be reached" in reason
    folder, reason = find_vectors(released(codec="spectrostream"), offline=True)
    assert folder is None
    assert "never fetched" in reason


def test_vectors_are_fetched_for_a_released_model(tmp_path, monkeypatch):
    from magenta_rt_py.cli.verify import find_vectors
    from tests.released.file_server import Hub, serve

    files = {"testdata/ssv2_48k_stereo/audio.npy": b"a" * 5000, "testdata/musiccoca_mv212/audio.npy": b"b" * 5000}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with serve(Hub("google/magenta-realtime", files)) as hub:
        local = functools.partial(fetching.fetch, endpoint=hub.address, cache=tmp_path)
        monkeypatch.setattr(fetching, "fetch", local)
        folder, reason = find_vectors(released(style="musiccoca"), offline=False)
    assert reason == ""
    assert testdata.find_folder(folder, testdata.STYLE_FOLDER) == folder / "testdata" / "musiccoca_mv212"


def test_the_document_shows_the_table_as_it_is(root, tiny_bundle):
    """docs/released.md tells people what they should see: every row by its name, and no other."""
    text = (root / "docs" / "released.md").read_text()
    table = re.search(r"^    part +check +wanted +measured\n((?:    \w.*\n)+)", text, re.M)
    lines = textwrap.dedent(table[1]).splitlines()
    shown = [(line[:8].strip(), line[8:].split("  ")[0]) for line in lines]
    rows = verify(load_bundle(tiny_bundle), None)
    assert [row for row in shown if row[0] != "lm"] == [(row.part, row.check) for row in rows if row.part != "lm"]


def test_the_document_shows_commands_that_exist(root):
    """Every line `    mrtpy ...` of docs/released.md is understood."""
    text = (root / "docs" / "released.md").read_text()
    lines = re.findall(r"^    (mrtpy .*)$", text, re.M)
    assert len(lines) > 8
    for line in lines:
        build_parser().parse_args(shlex.split(line, comments=True)[1:])


def test_refusals_are_one_line(refuse, tiny_bundle, tmp_path):
    assert "no model bundle here" in refuse("verify", tmp_path)
    assert "there is no folder" in refuse("verify", tiny_bundle, "--testdata", tmp_path / "no")
