"""`mrtpy fetch`: the list, the licence, a whole fetch in a process of its own, errors in one line."""

import functools
import json
import os
import subprocess
import sys

import pytest

from magenta_rt_py.released import fetch as fetching
from magenta_rt_py.released.assets import ASSETS
from tests.released.file_server import Hub, serve

FILES = {
    "testdata/ssv2_48k_stereo/audio.npy": b"a" * 5000,
    "testdata/musiccoca_mv212/inputs.txt": b"lofi hip hop\n",
}


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # whatever it is where the tests run
    with serve(Hub("google/magenta-realtime", dict(FILES))) as served:
        yield served


@pytest.fixture
def here(hub, tmp_path, monkeypatch):
    """The command in this process asks the local hub and has a cache of its own."""
    local = functools.partial(fetching.prepare, endpoint=hub.address, cache=tmp_path / "cache")
    monkeypatch.setattr(fetching, "prepare", local)


def answer(monkeypatch, line):
    """Somebody at the terminal types a line."""
    import io

    stdin = io.StringIO(line)
    stdin.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", stdin)


def test_the_list_of_what_there_is(run):
    code, text, err = run("fetch")
    assert (code, err) == (0, "")
    for asset in ASSETS:
        assert asset.name in text
    assert "CC-BY-4.0" in text
    listed = json.loads(run("fetch", "--json")[1])["assets"]
    assert [entry["name"] for entry in listed] == [asset.name for asset in ASSETS]


def test_a_whole_fetch_as_people_run_it(hub, root, tmp_path):
    """The library reads HF_ENDPOINT and HF_HOME when it is first imported."""
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")}
    environment = {name: value for name, value in environment.items() if name not in ("HF_HUB_CACHE", "HF_HUB_OFFLINE")}
    command = [sys.executable, "-m", "magenta_rt_py", "fetch", "magenta-rt-testdata", "--json"]

    def mrtpy(*options, **changes):
        return subprocess.run(
            [*command, *options], capture_output=True, text=True, cwd=root, env={**environment, **changes}, check=False
        )

    done = mrtpy("--yes")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["files"] == 2
    assert report["bytes"] == report["received_bytes"] == sum(map(len, FILES.values()))
    assert str(tmp_path / "home") in report["folder"]
    assert "licence: CC-BY-4.0" in done.stderr
    for path, content in FILES.items():
        assert (tmp_path / "home" / report["folder"] / path).read_bytes() == content
    asked = len(hub.requests)
    again = mrtpy(HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["received_bytes"] == 0
    assert again.stderr == ""
    assert len(hub.requests) == asked


def test_the_licence_is_asked_for_at_a_terminal(run, here, hub, monkeypatch):
    answer(monkeypatch, "n\n")
    code, out, err = run("fetch", "magenta-rt-testdata")
    assert (code, out) == (2, "")
    assert "CC-BY-4.0" in err and "[y/N]" in err and "not accepted" in err
    assert not hub.sent()
    answer(monkeypatch, "y\n")
    code, out, err = run("fetch", "magenta-rt-testdata")
    assert code == 0
    assert "2 files" in out and "checksums right" in out
    answer(monkeypatch, "")  # nobody is asked when nothing has to come
    code, out, err = run("fetch", "magenta-rt-testdata")
    assert (code, err) == (0, "")
    assert "nothing had to come" in out


def test_without_a_terminal_the_licence_must_be_accepted_beforehand(run, here, hub):
    code, out, err = run("fetch", "magenta-rt-testdata")
    assert (code, out) == (2, "")
    assert "add --yes" in err.splitlines()[-1]
    assert not hub.sent()


def test_refusals_are_one_line(refuse, here, hub, tmp_path):
    assert "choose one of magenta-rt-base" in refuse("fetch", "magenta-rt-huge")
    assert "never fetched" in refuse("fetch", "magenta-rt-testdata", "--offline")
    assert "no revision 'x'" in refuse("fetch", "magenta-rt-testdata", "--revision", "x")
    assert "nothing under 'checkpoints/" in refuse("fetch", "magenta-rt-base")
    assert "holds test vectors" in refuse("fetch", "magenta-rt-testdata", "--convert", tmp_path / "bundle")
    assert "exists already" in refuse("fetch", "magenta-rt-base", "--convert", tmp_path)
    assert "there is no folder" in refuse("fetch", "magenta-rt-base", "--convert", tmp_path / "no" / "bundle")
    hub.refuse = (401, "")
    assert "no access" in refuse("fetch", "magenta-rt-testdata")


def test_fetch_and_convert_at_once(run, here, hub, tmp_path, monkeypatch):
    """The command hands over what it fetched, and passes on what the conversion says."""
    base = {
        "checkpoints/llm_base_x4286_c1860k.tar": b"lm" * 1000,
        **{f"savedmodels/ssv2_48k_stereo/{part}/saved_model.pb": b"codec" for part in ("encoder", "decoder", "quantizer")},
        "savedmodels/musiccoca_mv212f_cpu_novocab/saved_model.pb": b"towers",
        "savedmodels/musiccoca_mv212_quant/saved_model.pb": b"quantizer",
        "vocabularies/musiccoca_mv212f_vocab.model": b"vocabulary",
    }
    hub.files.update(base)
    made = []

    def to_bundle(fetched, out):
        made.append((fetched, out))
        return ("something was assumed",)

    monkeypatch.setattr(fetching, "to_bundle", to_bundle)
    code, out, _ = run("fetch", "magenta-rt-base", "--yes", "--dir", tmp_path / "files", "--convert", tmp_path / "bundle")
    assert code == 0
    assert f"bundle: {tmp_path / 'bundle'}" in out
    assert "note: something was assumed" in out
    ((fetched, target),) = made
    assert target == tmp_path / "bundle"
    assert fetched.locations("lm") == [tmp_path / "files" / "checkpoints" / "llm_base_x4286_c1860k.tar"]
    assert [place.name for place in fetched.locations("codec")] == ["encoder", "decoder", "quantizer"]
    assert len(fetched.locations("style")) == 3


def test_a_bundle_that_has_the_parts_already_is_refused_before_anything_comes(refuse, here, hub, tiny_bundle):
    assert "has a 'codec' part already" in refuse("fetch", "magenta-rt-base", "--convert", tiny_bundle)
    assert not hub.requests


def test_without_the_library(refuse, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install 'magenta-rt-py[released]'" in refuse("fetch", "magenta-rt-base")
