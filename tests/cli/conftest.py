"""A tiny bundle for the commands, and a way to run them."""

import numpy as np
import pytest

from magenta_rt_py import audio
from magenta_rt_py.cli import main
from magenta_rt_py.io import priority
from magenta_rt_py.serve import spent_memory


@pytest.fixture(autouse=True)
def unchanged_process(monkeypatch):
    """Commands that play live ask for priority and for few pools of memory: the process of the tests stays as it is."""
    monkeypatch.setattr(priority, "raise_priority", lambda: None)
    monkeypatch.setattr(spent_memory, "keep_few_pools", lambda: True)


@pytest.fixture(scope="session")
def loop(tmp_path_factory):
    """A second of noise in a file."""
    path = tmp_path_factory.mktemp("audio") / "loop.wav"
    audio.write(path, np.random.default_rng(0).normal(0, 0.1, (48_000, 2)).astype(np.float32), 48_000)
    return path


@pytest.fixture
def run(capsys):
    """Runs a command in this process: (exit code, stdout, stderr)."""

    def run_command(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


@pytest.fixture
def refuse(run):
    """Runs a command that must fail by one line on stderr, exit code 2 and nothing else; returns the line."""

    def refuse_command(*arguments):
        code, out, err = run(*arguments)
        assert code == 2, (out, err)
        assert out == ""
        assert err.endswith("\n")
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        assert len(err) < 500
        return err

    return refuse_command
