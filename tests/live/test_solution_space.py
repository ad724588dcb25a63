"""The solution space as text and picture."""

import xml.etree.ElementTree as ElementTree

import pytest

from magenta_rt_py.live.feasibility import search
from magenta_rt_py.live.latency import LatencyModel
from magenta_rt_py.live.overload import Overload
from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.solution_space import COLOURS, Panel, feasible_share, kind, legend, svg, text_lines

PLAN = Plan(unit_seconds=0.1, interval=1, look_ahead=0, horizon=1, context=0, overload=Overload.FIFO)
VERDICTS = tuple(search(PLAN, LatencyModel(constant=0.2), intervals=range(1, 4), horizons=range(1, 6)))


def test_kinds():
    kinds = {(verdict.plan.interval, verdict.plan.horizon): kind(verdict) for verdict in VERDICTS}
    assert kinds[1, 2] == "both" and kinds[1, 3] == "slow"
    assert kinds[2, 3] == "short" and kinds[2, 4] == "feasible"
    assert feasible_share(VERDICTS) == 3 / 15
    assert feasible_share([]) == 0.0


def test_text():
    assert text_lines(Panel("a device", VERDICTS)) == [
        "a device: 20 % of the pairs are feasible",
        "   I \\ G   1  2  3  4  5",
        "     1     .  .  -  -  -",
        "     2     |  |  |  #  #",
        "     3     |  |  |  |  #",
    ]
    assert all(mark in legend() for mark in "#-|.")


def test_picture():
    picture = ElementTree.fromstring(svg([Panel("90 & more", VERDICTS), Panel("<b>", VERDICTS)]))
    squares = [item for item in picture.iter() if item.tag.endswith("rect") and len(item)]
    assert len(squares) == 30
    assert sum(item.get("fill") == COLOURS["feasible"] for item in squares) == 6
    assert "90 & more" in {item.text for item in picture.iter()}
    tall = {float(item.get("y")) for item in squares}
    assert 0 < min(tall) and max(tall) < float(picture.get("height"))
    with pytest.raises(ValueError, match="no pairs to draw"):
        svg([])
    with pytest.raises(ValueError, match="no pairs to draw"):
        svg([Panel("empty", ())])
