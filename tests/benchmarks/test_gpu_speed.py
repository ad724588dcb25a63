"""The GPU script: what was measured beside what was wanted; steps that fail leave the others; it runs, tiny, on the CPU."""

import importlib.util
import json
import sys

import pytest


@pytest.fixture(scope="module")
def gpu(root):
    """benchmarks/gpu_speed.py as a module."""
    spec = importlib.util.spec_from_file_location("gpu_speed", root / "benchmarks" / "gpu_speed.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_speed"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_steps_together_fit_the_time_they_are_wanted_in(gpu):
    assert [step.name for step in gpu.STEPS][:3] == ["large", "first_sound", "batch"]
    assert sum(step.seconds for step in gpu.STEPS[:3]) < 540
    assert all(step.seconds > gpu.LEAST_SECONDS for step in gpu.STEPS)


def test_every_step_is_a_command_there_is(gpu):
    from magenta_rt_py.cli.program import build_parser

    for step in gpu.STEPS:
        if step.name != gpu.FIRST_SOUND:
            arguments = build_parser().parse_args(["bench", "model", *step.arguments, "--device", "gpu"])
            assert arguments.device == "gpu" and arguments.limit <= step.seconds / 2


def test_figures_are_held_against_what_was_wanted(gpu):
    assert [row["reached"] for row in gpu.verdicts({})] == [None] * 5
    done = {
        "large": {"hops": [{"hop_seconds": 2.0, "rtf": 9.0}, {"hop_seconds": 0.2, "rtf": 3.9, "p99_seconds": 0.06}]},
        "first_sound": {"filled_cache_seconds": 31.0},
        "batch": {"streams_in_real_time": {"in_one_batch": 32}},
    }
    assert [row["reached"] for row in gpu.verdicts(done)] == [True, False, True, True, False]
    assert "| RTF of one stream, hop 0.2 s | >= 4 | 3.9 | no |" in gpu.markdown(
        {"command": "x", "seconds": 1.0, "steps": {"base": {"failed": "why"}}, "wanted": gpu.verdicts(done)}
    )


def test_a_step_that_fails_or_takes_too_long_says_so(gpu, tmp_path, monkeypatch):
    step = gpu.Step(name="large", arguments=("--size", "huge"), seconds=60)
    failed = gpu.run_step(step, tmp_path, gpu.prepare(tmp_path), 60.0, is_tiny=False)
    assert "exit code 2" in failed["failed"] and "invalid choice" in failed["failed"]
    late = gpu.run_step(step, tmp_path, gpu.prepare(tmp_path), 0.001, is_tiny=False)
    assert late == {"failed": "not done after 0 s"}
    assert gpu.main(["--out", str(tmp_path / "out"), "--seconds", "1"]) == 1
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {report["failed"] for report in summary["steps"].values()} == {"no time was left"}


def test_it_runs_tiny(gpu, tmp_path):
    code = gpu.main(["--out", str(tmp_path), "--steps", "first_sound", "float32", "--tiny"])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert code == 0, summary["steps"]
    assert summary["steps"]["first_sound"]["filled_cache_seconds"] > 0
    assert [hop["hop_frames"] for hop in summary["steps"]["float32"]["hops"]] == [50]
    assert "## float32" in (tmp_path / "summary.md").read_text()
