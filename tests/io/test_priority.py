"""Priority: asked for where the system allows it, and never in the way."""

import os
import subprocess
import sys

import pytest

from magenta_rt_py.io import priority

PROGRAM = """
import os, pathlib
from magenta_rt_py.io import priority
priority.GROUP = pathlib.Path("/nowhere/autogroup")  # or all of these tests would be raised
print(priority.raise_priority({}), os.getpriority(os.PRIO_PROCESS, 0))
"""


@pytest.mark.parametrize(("asked", "wanted"), [(-5, {-5, 5}), (7, {5})])
def test_a_process_is_served_first_if_it_may_and_never_later(asked, wanted):
    """In a process of its own that begins at niceness 5; who may not go below stays there."""
    command = ["nice", "-n", str(5 - os.getpriority(os.PRIO_PROCESS, 0)), sys.executable, "-c", PROGRAM.format(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    told, real = map(int, done.stdout.split())
    assert told == real and real in wanted


def test_the_group_of_processes_is_raised_as_well(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "getpriority", lambda *where: 0)  # whatever the tests themselves run at
    monkeypatch.setattr(os, "setpriority", lambda *where: None)
    monkeypatch.setattr(priority, "GROUP", tmp_path / "autogroup")
    priority.raise_priority(-11)
    assert (tmp_path / "autogroup").read_text() == "-11"
    monkeypatch.setattr(priority, "GROUP", tmp_path / "none" / "autogroup")
    priority.raise_priority(-12)


def test_a_system_that_refuses_is_no_trouble(monkeypatch):
    def refuse(*where):
        raise PermissionError("not allowed")

    before = os.getpriority(os.PRIO_PROCESS, 0)
    monkeypatch.setattr(os, "setpriority", refuse)
    assert priority.raise_priority(before - 3) == before
    monkeypatch.delattr(os, "setpriority")
    assert priority.raise_priority() is None
