"""The README's examples, executed as they stand there, in a clean clone with an environment of its own.

Nothing is downloaded: pip is told by its environment variables to take what is installed around the new environment,
and `make` finds its installing done.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from magenta_rt_py import audio

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


class Clone(NamedTuple):
    """A clean clone in which the README's pip line has been run."""

    path: Path
    variables: dict[str, str]


@pytest.fixture(scope="module")
def readme(root) -> str:
    """Its text."""
    return (root / "README.md").read_text()


def blocks(readme: str, language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(readme) if name == language]


def lines_of(readme: str, program: str) -> list[str]:
    """Shell lines that call `program`, without comments."""
    lines = [line.split("  #")[0].strip() for text in blocks(readme, "sh") for line in text.splitlines()]
    return [line for line in lines if line.split()[:1] == [program]]


@pytest.fixture(scope="module")
def clone(tmp_path_factory, readme, new_checkout, new_environment) -> Clone:
    path = new_checkout(tmp_path_factory.mktemp("readme") / "clone")
    python = new_environment(path / ".venv")
    variables = {
        **os.environ,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_DEPS": "1",  # they are visible from the surrounding environment
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as: without isolation
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    (line,) = lines_of(readme, "pip")
    assert line == "pip install ."
    made = Clone(path, variables)
    run(made, f"{python} -m {line} --quiet")
    for stamp in (".made", ".installed-demo", ".installed-live", ".installed-all"):
        (path / ".venv" / stamp).touch()
    return made


def run(clone: Clone, line: str) -> str:
    done = subprocess.run(shlex.split(line), cwd=clone.path, env=clone.variables, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def assert_sounds(path: Path, seconds: float) -> None:
    take = audio.read(path)
    assert take.sample_rate == 48_000 and take.samples.shape == (int(seconds * 48_000), 2)
    assert np.sqrt(np.mean(np.square(take.samples))) > 1e-3


def test_the_first_lines_are_make_demo_and_make_test(readme):
    first = blocks(readme, "sh")[0].splitlines()
    assert [line.split("#")[0].strip() for line in first] == ["make demo", "make test"]
    assert readme.index("make demo") < 200


def test_make_demo_writes_the_take_and_its_picture_and_says_how_fast(clone):
    printed = run(clone, "make demo")
    assert "real-time factor" in printed
    assert_sounds(clone.path / "out" / "demo.flac", 30)
    assert (clone.path / "out" / "demo.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("target", ["demo", "live", "test", "setup", "check", "docs", "starter", "bench"])
def test_make_installs_what_a_target_needs_first(root, new_checkout, tmp_path, target):
    path = new_checkout(tmp_path / "clone")
    done = subprocess.run(["make", "-n", target], cwd=path, capture_output=True, text=True, check=True)
    assert done.stdout.index("-m venv .venv") < done.stdout.index("constraints.txt")
    wanted = {"demo": ".[plot]", "live": ".[ui]"}.get(target, ".[plot,train,cluster,audio,midi,osc,ui,released,docs,dev]")
    assert wanted in done.stdout


def test_the_python_example(clone, readme):
    (example,) = blocks(readme, "python")
    calls = [line for line in example.splitlines() if line.strip()]
    assert len(calls) == 5
    (clone.path / "example.py").write_text(example)
    run(clone, "python example.py")
    assert_sounds(clone.path / "take.flac", 20)


def test_the_command_line_examples(clone, readme):
    seconds = np.arange(4 * 48_000) / 48_000
    loop = 0.3 * np.sin(2 * np.pi * 220 * seconds) * (seconds % 0.5 < 0.2)
    audio.write(clone.path / "loop.wav", loop[:, None].astype(np.float32), 48_000)
    lines = lines_of(readme, "mrtpy")
    assert len(lines) >= 4
    for line in lines:
        run(clone, line)
    assert_sounds(clone.path / "take.flac", 20)
    assert_sounds(clone.path / "copy.flac", 20)


def test_commands_named_in_the_text_exist(clone, readme):
    for command in sorted(set(re.findall(r"`mrtpy (\w+)", readme))):
        assert "usage" in run(clone, f"mrtpy {command} --help")
