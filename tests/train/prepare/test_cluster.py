"""The cluster's shards are one machine's, to the last bit."""

import pytest

from magenta_rt_py.train.prepare import run
from magenta_rt_py.train.prepare.cluster import make_on_cluster
from magenta_rt_py.train.prepare.run import prepare_folder
from tests.train.prepare.stand_ins import content


def test_the_same_bytes_as_on_one_machine(tmp_path, folder, bundle, config):
    prepare_folder(folder, tmp_path / "one", bundle, config=config)
    work = run.start(folder, tmp_path / "many", bundle, config=config)
    assert len(work.missing) >= 2
    told = []
    make_on_cluster(work, work.missing, workers=1, done=lambda plan: told.append(plan.name))
    assert work.missing == [] and sorted(told) == sorted(plan.name for plan in work.plans)
    work.finish()
    assert content(tmp_path / "many") == content(tmp_path / "one")


def test_there_must_be_a_worker(tmp_path, folder, bundle, config):
    work = run.start(folder, tmp_path / "out", bundle, config=config)
    with pytest.raises(ValueError, match="0 workers"):
        make_on_cluster(work, work.missing, workers=0)
