"""The benchmark program runs, and its figures are figures."""

import importlib.util
import json

import pytest


@pytest.fixture(scope="module")
def benchmark(root):
    """benchmarks/stream.py as a module."""
    spec = importlib.util.spec_from_file_location("stream_benchmark", root / "benchmarks" / "stream.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_prints_json_with_everything_the_readme_quotes(benchmark, capsys, tmp_path, tiny_bundle):
    out = tmp_path / "figures.json"
    arguments = ["--requests", "3", "--bundle", str(tiny_bundle), "--out", str(out), "--skip-first-sound"]
    assert benchmark.main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == report
    assert report["machine"]["cores"] >= 1
    assert report["peak_memory_megabytes"] > 10
    for name in ("chunk_2_s", "hop_0.4_s"):
        figures = report[name]
        assert figures["requests"] == 3
        ordered = [figures[key] for key in ("p50_seconds", "p95_seconds", "p99_seconds", "worst_seconds")]
        assert ordered[0] > 0
        assert ordered == sorted(ordered)
        assert figures["rtf"] > 0
        assert figures["load_average_after"] >= 0
    assert set(report["parts_of_2_s_request"]) == {"language_model_seconds", "refinement_seconds", "codec_seconds"}
