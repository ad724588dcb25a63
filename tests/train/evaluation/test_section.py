"""Reports: tables that fit, JSON without NaN, Markdown with its pictures."""

import json

import numpy as np
import pytest

from magenta_rt_py.train.evaluation.section import Section, Table, Verdict, write_report


def _section():
    return Section(
        name="beat",
        title="Beat",
        report={"value": np.float32(1.5), "bad": float("nan"), "rows": np.arange(2)},
        tables=(Table(title="Figures", header=("a", "b|c"), rows=(("1", "22"), ("333", "4"))),),
        verdicts=(
            Verdict(name="pulse", measured="0.7", wanted=">= 0.8", is_met=False),
            Verdict(name="tempo", measured="0.9", wanted=">= 0.8", is_met=True),
        ),
        pictures=(("beat", lambda file: file.write_bytes(b"png")),),
    )


def test_text_lines_up():
    lines = _section().to_text().splitlines()
    header = lines.index("a    b|c")
    assert lines[header + 1 : header + 3] == ["1    22", "333  4"]
    assert any("NO" in line for line in lines)


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="row of 1 cells, expected 2"):
        Table(title="", header=("a", "b"), rows=(("1",),))


def test_a_report_holds_numbers_tables_and_pictures(tmp_path):
    write_report(tmp_path / "out", [_section()], head={"bundle": "abc"})
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["bundle"] == "abc"
    assert found["beat"]["bad"] is None
    assert found["beat"]["rows"] == [0, 1]
    assert [verdict["met"] for verdict in found["beat"]["verdicts"]] == [False, True]
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| 333 | 4 |" in text and "| a | b\\|c |" in text and "![beat.png](beat.png)" in text
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["beat.png", "report.json", "report.md"]
