"""Pictures of losses."""

import pytest

from magenta_rt_py.errors import MissingExtraError
from magenta_rt_py.train.runs import Run
from magenta_rt_py.train.runs.curves import draw_curves


def run_of(directory, lines):
    return Run(directory=directory, status="finished", metrics=lines)


def test_every_measure_has_a_panel_and_every_run_a_line(tmp_path, monkeypatch):
    drawn = {}

    def keep(file, panels, *, across, up):
        drawn.update(panels)

    monkeypatch.setattr("magenta_rt_py.train.evaluation.pictures.panels", keep)
    one = run_of(tmp_path / "one", [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "eval/nats_mean": 4.0}])
    two = run_of(tmp_path / "two", [{"step": 5, "loss": 1.0}])
    draw_curves(tmp_path / "x.png", [one, two])
    assert list(drawn) == ["loss", "eval/nats_mean"]
    assert [(curve.name, *curve.places, *curve.values) for curve in drawn["loss"]] == [("one", 1, 2, 3, 2), ("two", 5, 1)]
    assert [curve.name for curve in drawn["eval/nats_mean"]] == ["one"]


def test_the_picture_is_a_file_of_the_kind_asked_for(tmp_path):
    run = run_of(tmp_path / "one", [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}])
    draw_curves(tmp_path / "x.svg", [run], ["first"])
    assert "<svg" in (tmp_path / "x.svg").read_text()


def test_nothing_to_draw_and_nothing_to_draw_with(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no loss has been written"):
        draw_curves(tmp_path / "x.png", [run_of(tmp_path / "one", [])])
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match="matplotlib"):
        draw_curves(tmp_path / "x.png", [run_of(tmp_path / "one", [{"step": 1, "loss": 3.0}])])
