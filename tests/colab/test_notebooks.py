"""The notebooks are what Colab opens, leave its JAX alone, and run from top to bottom with the starter."""

import ast
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from magenta_rt_py.audio import read
from magenta_rt_py.bundle import load_bundle

NAMES = ("audio_injection", "finetune", "live_demo")
RUNNER = Path(__file__).with_name("run_notebook.py")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
ABSOLUTE = re.compile(r"(?<![\w.:/}*<])/[A-Za-z][\w.-]*/[\w./-]*")
CELL_KEYS = {
    "markdown": {"cell_type", "id", "metadata", "source"},
    "code": {"cell_type", "id", "metadata", "source", "outputs", "execution_count"},
}
LARGEST_BYTES = 25_000
LONGEST_RUN_SECONDS = 1800.0
JAX_THEN = ["0.7.2", ["TPU_0(process=0,(0,0,0,0))"]]


@pytest.fixture(scope="module")
def notebooks(root) -> dict:
    """Name -> content of every notebook."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((root / "colab").glob("*.ipynb"))}


def code_of(notebook) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def defining(notebook, name) -> str:
    """The code cell that defines a function."""
    (cell,) = [text for text in code_of(notebook) if f"def {name}(" in text]
    return cell


def test_there_are_three_and_they_are_small(root, notebooks):
    assert tuple(notebooks) == NAMES
    assert all((root / "colab" / f"{name}.ipynb").stat().st_size < LARGEST_BYTES for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_form_is_that_of_nbformat_4_5_and_nothing_was_run(notebooks, name):
    notebook = notebooks[name]
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook["metadata"]["kernelspec"]) >= {"name", "display_name"}
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each) for each in ids)
    for cell in notebook["cells"]:
        assert set(cell) == CELL_KEYS[cell["cell_type"]] and isinstance(cell["metadata"], dict)
        assert cell["source"] and all(isinstance(line, str) for line in cell["source"])
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None


@pytest.mark.parametrize("name", NAMES)
def test_cells_compile_and_name_no_machine(root, notebooks, name):
    for text in code_of(notebooks[name]):
        ast.parse(text)
        assert max(map(len, text.splitlines())) <= 125
    prose = "\n".join("".join(cell["source"]) for cell in notebooks[name]["cells"])
    assert {path.split("/")[1] for path in ABSOLUTE.findall(prose)} == {"content"}  # Colab's own, where Drive is
    assert "**On a TPU**" in "".join(notebooks[name]["cells"][0]["source"])
    broken = [link for link in LINK.findall(prose) if "://" not in link and not (root / "colab" / link).exists()]
    assert not broken


def test_what_all_three_need_is_one_text(notebooks):
    for function in ("mrtpy", "pluck_loop"):
        assert len({defining(notebook, function) for notebook in notebooks.values()}) == 1


@pytest.fixture
def colab(monkeypatch, tmp_path, notebooks):
    """Runs the cell that installs on a machine with another JAX and without the package; gives the commands it ran."""
    commands, states = [], []
    found = importlib.util.find_spec

    def run(command, **options):
        commands.append(command)
        told = "" if "pip" in command else json.dumps(states.pop(0))
        return SimpleNamespace(returncode=0, stdout=told, stderr="")

    def install(*answers):
        states.extend(answers)
        with monkeypatch.context() as patched:
            patched.delitem(sys.modules, "jax", raising=False)
            patched.setattr(subprocess, "run", run)
            patched.setattr(importlib.util, "find_spec", lambda name: None if name == "magenta_rt_py" else found(name))
            given = {"FOLDER": str(tmp_path / "kept"), "SOURCE": "git+https://example.org/music.git"}
            exec(defining(notebooks["live_demo"], "mrtpy"), given)
        return commands

    return install


def test_colabs_jax_is_asked_before_and_after_and_stays(colab, tmp_path):
    before, pip, after = colab(JAX_THEN, JAX_THEN)
    assert before == after and "jax.devices()" in before[-1]
    assert pip[-2:] == ["magenta-rt-py[colab] @ git+https://example.org/music.git", "jax==0.7.2"]
    assert "-c" not in pip and not any("constraint" in word for word in pip)
    assert (tmp_path / "kept").is_dir()


def test_another_jax_after_installing_is_refused(colab):
    with pytest.raises(RuntimeError, match="installing changed JAX"):
        colab(JAX_THEN, ["0.7.2", ["TFRT_CPU_0"]])


@pytest.fixture
def run_notebook(root, tmp_path):
    """Runs a notebook as a person would, in a trial; gives its results, with paths made whole."""

    def run(name):
        environment = {**os.environ, "MRTPY_QUICK": "1", "PYTHONPATH": str(root), "XDG_STATE_HOME": str(tmp_path / "state")}
        results = tmp_path / "results.json"
        command = [sys.executable, RUNNER, root / "colab" / f"{name}.ipynb", results]
        ran = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LONGEST_RUN_SECONDS
        )
        assert ran.returncode == 0, f"{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}"
        return json.loads(results.read_text())

    return run


def sound_of(path) -> np.ndarray:
    """Samples of a take that can be heard."""
    made = read(path)
    assert made.sample_rate == 48_000 and np.abs(made.samples).max() > 0.01
    return made.samples


def test_live_demo_plays(run_notebook, tmp_path):
    results = run_notebook("live_demo")
    assert len(sound_of(tmp_path / results["take"])) == 4 * 48_000
    assert len(sound_of(tmp_path / results["heard"])) == results["heard_seconds"] * 48_000 == 4 * 48_000


def test_audio_injection_is_heard_and_kept(run_notebook, tmp_path):
    results = run_notebook("audio_injection")
    alone, together, _ = [sound_of(tmp_path / results[name]) for name in ("alone", "together", "both")]
    assert len(alone) >= 7 * 48_000 and len(together) >= 7 * 48_000
    assert results["apart_db"] > -40.0  # the same seed: only the performer is another
    assert all(0.0 < likeness <= 1.0 for likeness in results["likeness"].values())
    made = {name: (tmp_path / results[name]).stat().st_mtime_ns for name in ("alone", "together")}
    assert run_notebook("audio_injection")["apart_db"] == results["apart_db"]
    assert made == {name: (tmp_path / results[name]).stat().st_mtime_ns for name in made}  # as after a disconnect


def test_finetune_makes_a_bundle_that_plays_and_a_second_run_keeps_it(run_notebook, tmp_path):
    results = run_notebook("finetune")
    model = tmp_path / results["model"]
    before, after = results["losses"]
    assert results["steps"] == 2 and math.isfinite(before) and math.isfinite(after) and before != after
    bundle = load_bundle(model)
    assert bundle.configs["adapters"]["rank"] == 2 and "steering" in bundle.configs
    base, tuned = [sound_of(tmp_path / take) for take in results["takes"]]
    assert len(base) == len(tuned) == 4 * 48_000
    made = (model / "bundle.json").stat().st_mtime_ns
    assert run_notebook("finetune") == results
    assert (model / "bundle.json").stat().st_mtime_ns == made
