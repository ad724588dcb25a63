"""What is built from a clean clone is the whole package, puts one name into an environment, and makes music there."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from magenta_rt_py import audio

PARTS = ("codec", "style", "lm", "train", "ui")


def run(*command, cwd: Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == expect, f"{command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done


def wheel_files(directory: Path) -> set[str]:
    (wheel,) = directory.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    return {name for name in names if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def built(tmp_path_factory, new_checkout) -> Path:
    """dist/ of a clean clone: a source archive, and the wheel made from that archive."""
    checkout = new_checkout(tmp_path_factory.mktemp("clone") / "checkout")
    run(sys.executable, "-m", "build", "--no-isolation", cwd=checkout)
    return checkout / "dist"


@pytest.fixture(scope="module")
def python(tmp_path_factory, built, new_environment) -> Path:
    """The python of an environment into which the wheel was installed."""
    python = new_environment(tmp_path_factory.mktemp("environment") / "env")
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", *built.glob("*.whl"), cwd=built)
    return python


def test_the_wheel_holds_every_module_and_the_starter_and_nothing_else(built, sources, project_files):
    expected = {str(path) if path.parts[0] == "magenta_rt_py" else f"magenta_rt_py/{path}" for path in sources}
    data = {str(path) for path in project_files if path.parts[:2] == ("magenta_rt_py", "starter")}
    page = {f"magenta_rt_py/{path}" for path in project_files if path.parts[:2] in {("ui", "static"), ("ui", "presets")}}
    assert wheel_files(built) == expected | data | page | {"magenta_rt_py/py.typed"}
    assert "magenta_rt_py/starter/bundle.json" in data


def test_a_checkout_without_links_builds_the_same_wheel(tmp_path, built, new_checkout):
    checkout = new_checkout(tmp_path / "checkout", links=False)
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", cwd=checkout)
    assert wheel_files(checkout / "dist") == wheel_files(built)


def test_installing_puts_one_name_into_the_environment(tmp_path, python):
    for part in PARTS:
        done = run(python, "-c", f"import {part}", cwd=tmp_path, expect=1)
        assert "ModuleNotFoundError" in done.stderr
        run(python, "-c", f"import magenta_rt_py.{part}", cwd=tmp_path)
    where = run(python, "-c", "import magenta_rt_py; print(magenta_rt_py.__file__)", cwd=tmp_path).stdout
    assert where.startswith(str(python.parents[1]))


def test_the_installed_program_makes_music_from_the_bundled_starter(tmp_path, python):
    mrtpy = python.parent / "mrtpy"
    report = json.loads(run(mrtpy, "doctor", "--json", cwd=tmp_path).stdout)
    assert isinstance(report, dict) and report
    run(mrtpy, "generate", "--prompt", "techno", "--seconds", "4", "--seed", "1", "--out", "take.flac", cwd=tmp_path)
    take = audio.read(tmp_path / "take.flac")
    assert take.samples.shape == (4 * 48_000, 2) and take.sample_rate == 48_000
    assert np.sqrt(np.mean(take.samples[48_000:] ** 2)) > 1e-3  # it sounds
