"""One process a stage, and no stage outlives the program that started it."""

import subprocess
import sys
import time

import pytest

from magenta_rt_py.train.starter.guard import PARENT_VARIABLE, only_one

CHILD = "from magenta_rt_py.train.starter import guard; import time; guard.follow_parent(); time.sleep(60)"
PARENT = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], env=os.environ | {{{PARENT_VARIABLE!r}: str(os.getpid())}})
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_stage_runs_once_at_a_time_in_a_directory(tmp_path):
    again = only_one(tmp_path, "lm")
    with only_one(tmp_path, "lm"), only_one(tmp_path, "codec"), pytest.raises(ValueError, match="another process runs 'lm'"):
        again.__enter__()
    with only_one(tmp_path, "lm"):  # given back
        pass


def test_a_stage_ends_with_the_program_that_was_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30.0
    while alive(child):
        assert time.monotonic() < deadline, "the child goes on alone"
        time.sleep(0.1)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
