"""Status reads what stages left, and adds up what is still to come lane by lane."""

import json

import pytest

from magenta_rt_py.train.starter import status
from magenta_rt_py.train.starter.kept import save_tensors, trained_for
from magenta_rt_py.train.starter.recipe import smoke
from magenta_rt_py.train.starter.render import shard_path
from magenta_rt_py.train.starter.stopwatch import times_path

RECIPE = smoke()


@pytest.fixture
def begun(tmp_path):
    """Two of four shards rendered in 20 s each, the codec trained for 6 of its 15 seconds."""
    for index in range(2):
        shard_path(tmp_path, index).mkdir(parents=True)
    (tmp_path / "times").mkdir()
    times_path(tmp_path, "render-codec").write_text(json.dumps({"wall_seconds": 40.0, "processor_seconds": 70.0}))
    (tmp_path / "codec").mkdir()
    (tmp_path / "codec" / "metrics.jsonl").write_text(json.dumps({"step": 30, "elapsed_seconds": 6.0}) + "\n")
    return tmp_path


def test_nothing_is_done_in_an_empty_directory(tmp_path):
    rows = status.status(RECIPE, tmp_path)
    assert all(row.done == 0 for row in rows)
    assert status.left_seconds(RECIPE, rows) > RECIPE.lm_seconds


def test_what_is_done_is_seen(begun):
    rows = {row.stage: row for row in status.status(RECIPE, begun)}
    assert rows["render-codec"].done == 1.0 and rows["render-codec"].left_seconds == 0.0
    assert rows["render"].done == 0.0 and rows["render"].detail == "0 of 2 shards"
    assert rows["codec"].done == pytest.approx(0.4) and rows["codec"].left_seconds == pytest.approx(
        9.0 + status.OVERHEAD_SECONDS
    )
    assert "step 30" in status.report(RECIPE, begun)


def test_a_trained_part_is_done_for_the_seconds_it_was_given(begun):
    save_tensors(begun, "codec", {}, 15.0)
    assert trained_for(begun, "codec") == 15.0 and trained_for(begun, "lm") == 0.0
    rows = {row.stage: row for row in status.status(RECIPE, begun)}
    assert rows["codec"].done == 1.0 and rows["codec"].left_seconds == 0.0


def test_lanes_run_beside_each_other(begun):
    rows = status.status(RECIPE, begun)
    alone = sum(row.left_seconds for row in rows)
    lane = sum(row.left_seconds for row in rows if row.stage == "render")
    other = sum(row.left_seconds for row in rows if row.stage in ("codec", "codes"))
    assert status.left_seconds(RECIPE, rows) == pytest.approx(alone - min(lane, other))
