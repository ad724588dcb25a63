"""`mrtpy bench model`: a report as tables, as JSON and in a file; bad input is refused before any work."""

import json

import pytest

from magenta_rt_py.cli import bench_model
from magenta_rt_py.lm import packing
from magenta_rt_py.speed import model_speed, subject

TINY = ("bench", "model", "--size", "tiny", "--device", "cpu", "--hops", "0.2", "--requests", "3", "--skip-first-sound")


@pytest.fixture
def quick(monkeypatch):
    """The machine itself is measured with less."""
    whole = model_speed.Plan

    def small(**fields):
        return whole(**fields, streamed_megabytes=4, matrix_side=64)

    monkeypatch.setattr(model_speed, "Plan", small)


def test_json_and_a_file_of_tables(run, quick, tmp_path):
    out = tmp_path / "speed.md"
    code, text, err = run(*TINY, "--storage", "int8", "--layers", "1", "--json", "--out", out)
    assert (code, err) == (0, "")
    report = json.loads(text)
    assert report["command"].startswith("mrtpy bench model --size tiny --device cpu --storage int8 --layers 1 --dtype ")
    assert report["hops"][0]["hop_frames"] == 5 and report["hops"][0]["requests"] == 3
    assert report["rates"]["gigabytes_per_second"] > 0
    assert "| hop s | RTF |" in out.read_text()


def test_tables_and_a_file_of_json(run, quick, tmp_path):
    out = tmp_path / "speed.json"
    code, text, _ = run(*TINY, "--streams", "2", "--batch-hop", "0.2", "--out", out)
    assert code == 0 and text.startswith("| machine and model |") and "| streams in a batch |" in text
    assert json.loads(out.read_text())["batches"][0]["streams"] == 2


def test_the_command_knows_the_sizes_and_types_there_are():
    assert bench_model.SIZES == subject.SIZES and bench_model.DTYPES == subject.DTYPES
    assert bench_model.STORAGES == packing.STORAGES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hops", "0.05"], "a hop of 0.05 s"),
        (["--hops", "2.04"], "a hop of 2.04 s"),
        (["--hops", "nan"], "a hop of nan s"),
        (["--size", "base", "--bundle", "x"], "--bundle and --size base"),
        (["--layers", "2"], "trained weights cannot be cut"),
        (["--device", "tpu", "--skip-first-sound"], "the device is 'tpu'"),
        (["--streams", "0"], "streams are (0,)"),
        (["--out", "speed.pdf"], "the ending is .pdf"),
    ],
)
def test_bad_input_is_refused_before_any_work(refuse, monkeypatch, arguments, message):
    def build(*given, **more):
        raise AssertionError("a model was built before the input was checked")

    monkeypatch.setattr(subject, "build", build)
    assert message in refuse("bench", "model", *arguments)
