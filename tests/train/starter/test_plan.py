"""The order of the stages, the cores they run on, and what a failing stage does to the others."""

import os
import subprocess
import sys

import pytest

from magenta_rt_py.train.starter import plan
from magenta_rt_py.train.starter.recipe import RECIPES, RENDERED_FIELDS, cpu, longer, smoke, work_directory
from magenta_rt_py.train.starter.stopwatch import read_times

NEEDS = {
    "codec": {"render-codec"},
    "codes": {"codec"},
    "style": {"render"},
    "tokens": {"codes", "style"},
    "lm": {"tokens"},
    "export": {"lm"},
}


@pytest.mark.parametrize("name", RECIPES)
def test_every_stage_comes_after_what_it_needs(name):
    done = set()
    for lanes in plan.phases(RECIPES[name]()):
        for lane in lanes:
            before = set(done)
            for stage in lane:
                assert NEEDS.get(stage, set()) <= before, stage
                before.add(stage)
        done |= {stage for lane in lanes for stage in lane}
    assert done >= NEEDS.keys()


def test_lanes_share_the_cores_without_overlap(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 8})
    assert plan.shares_of_cores(1) == [None]
    assert plan.shares_of_cores(2) == [{3}, {5, 8}]
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert plan.shares_of_cores(2) == [None, None]


@pytest.fixture
def programs(monkeypatch):
    """Stages become small programs; the list of those started, in order."""
    started = []

    def start(stage, arguments, cores):
        started.append(stage)
        code = {"render": "import sys; sys.exit(7)", "codec": "import time; time.sleep(60)"}.get(stage, "")
        return subprocess.Popen([sys.executable, "-S", "-c", code])

    monkeypatch.setattr(plan, "_start", start)
    return started


def test_a_failing_stage_stops_its_phase_and_gives_its_code(programs, tmp_path):
    assert plan.run_all(smoke(), tmp_path, []) == 7
    assert programs == ["render-codec", "codec", "render"]  # and codec did not keep us a minute
    assert 0 < read_times(tmp_path, "all").wall_seconds < 30


def test_recipes_say_what_they_cannot_do():
    assert cpu().hours == pytest.approx(20.0)
    with pytest.raises(ValueError, match="codec_shards"):
        type(cpu())(num_pieces=120, codec_shards=8)
    with pytest.raises(ValueError, match="held_out_pieces"):
        type(cpu())(num_pieces=60, codec_shards=1)


def test_the_longer_recipe_goes_on_in_the_directory_of_the_other():
    assert work_directory("longer") == work_directory("cpu") != work_directory("gpu")
    assert [getattr(longer(), name) for name in RENDERED_FIELDS] == [getattr(cpu(), name) for name in RENDERED_FIELDS]
    assert longer().lm_seconds > 2 * cpu().lm_seconds
