"""The program around the commands: help, errors, debugging, exit codes."""

import subprocess
import sys

import pytest

from magenta_rt_py import __version__
from magenta_rt_py.cli import program


def test_help_and_version(run):
    code, text, _ = run("--help")
    assert code == 0
    for command in ("generate", "codec", "embed", "doctor"):
        assert command in text
        assert run(command, "--help")[0] == 0
    assert run("--version") == (0, f"mrtpy {__version__}\n", "")


def test_no_and_unknown_commands(refuse):
    assert "required" in refuse()
    assert "invalid choice" in refuse("dance")


def test_long_messages_are_cut(run, monkeypatch):
    def fail(arguments):
        raise ValueError("first line\nsecond line " + "x" * 5000)

    monkeypatch.setattr("magenta_rt_py.cli.embed.run", fail)
    code, _, err = run("embed", "a")
    assert code == 2
    assert err.startswith("mrtpy: first line second line xxx")
    assert err.count("\n") == 1
    assert len(err) < program.LONGEST_ERROR + 20


def test_debugging_shows_the_traceback(monkeypatch):
    def fail(arguments):
        raise ValueError("deep")

    monkeypatch.setattr("magenta_rt_py.cli.embed.run", fail)
    monkeypatch.setenv("MRT_DEBUG", "1")
    with pytest.raises(ValueError, match="deep"):
        program.main(["embed", "a"])


def test_runs_as_a_module(root):
    done = subprocess.run(
        [sys.executable, "-m", "magenta_rt_py", "generate", "--prompt", "", "--out", "x.wav"],
        capture_output=True, text=True, cwd=root, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "empty prompt" in done.stderr
