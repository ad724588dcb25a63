"""`mrtpy simulate`."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from magenta_rt_py.cli import main
from magenta_rt_py.cli.simulate import read_round_trips

SMALL = ("--intervals", "4", "--horizons", "6", "--streams", "1")


@pytest.fixture
def run(capsys):
    """Runs a command: (exit code, stdout, stderr)."""

    def run_command(*arguments):
        code = main(["simulate", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


def test_the_space_of_two_tempi(run, tmp_path):
    picture = tmp_path / "space.svg"
    code, out, err = run(*SMALL, "--bpm", "90", "--bpm", "150", "--json", "--plot", picture)
    assert (code, err) == (0, "")
    report = json.loads(out)
    slow, fast = report["spaces"]
    assert (slow["title"], fast["title"]) == ("90 bpm", "150 bpm")
    assert len(slow["pairs"]) == 24
    assert 0 < fast["feasible_share"] < slow["feasible_share"] < 1
    assert slow["best"]["simulated"]["isr"] > 0.9
    assert ElementTree.fromstring(picture.read_text()).tag.endswith("svg")


def test_lines_for_people(run):
    code, out, _ = run(*SMALL)
    assert code == 0
    assert "local, 120 bpm" in out and "best: I " in out and "plays" in out
    assert "no pair is feasible" in run(*SMALL, "--setting", "remote", "--unit-seconds", "0.01")[1]


def test_measured_round_trips(run, tmp_path):
    rng = np.random.default_rng(0)
    file = tmp_path / "measured.json"
    rows = [[units, 0.02 * units + 0.1 + float(rng.uniform(0, 0.02))] for units in (2, 4, 6) for _ in range(20)]
    file.write_text(json.dumps(rows))
    code, out, _ = run(*SMALL, "--measured", file, "--json")
    report = json.loads(out)
    assert code == 0
    latency = report["latency"]
    assert latency["linear"] == pytest.approx(0.02, abs=0.004)
    assert report["setting"] is None and report["measured"] == str(file)
    assert read_round_trips(file)[0] == (2, rows[0][1])


def test_the_table(run, monkeypatch):
    from magenta_rt_py.live import simulator

    few = [row for row in simulator.TABLE_III if row.interval == 7]
    monkeypatch.setattr(simulator, "TABLE_III", few)
    code, out, _ = run("--table", "--streams", "1")
    assert code == 0
    assert out.count("local-server") == 2 and "of 6 rows" in out and "in-sample" in out
    report = json.loads(run("--table", "--streams", "1", "--json")[1])
    assert report["in_sample"] is True and len(report["rows"]) == 6
    assert report["rows"][0]["reported"]["isr"] == few[0].isr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--intervals", "0"), "from 1 to 100"),
        (("--streams", "5000"), "from 1 to 1000"),
        (("--seed", "-1"), "0 or more"),
        (("--bpm", "nan"), "from 20 to 400"),
        (("--bpm", "120", "--unit-seconds", "0.04"), "give one of them"),
        (("--unit-seconds", "0"), "positive number of seconds"),
        (("--percentile", "1"), "between 0 and 1"),
        (("--plot", "space.jpg"), "use .svg"),
        (("--plot", "space.svg", "--table"), "give one of them"),
        (("--setting", "moon"), "invalid choice"),
        (("--measured", "nowhere.json"), "nowhere.json"),
    ],
)
def test_refuses(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize("text", ["{}", "[1, 2]", "[[1, null]]", "[[1.5, 0.1]]", "not json", '[["a", 1]]', "[[1, 0.1]]"])
def test_refuses_what_was_not_measured(run, tmp_path, text):
    file = tmp_path / "measured.json"
    file.write_text(text)
    code, out, err = run("--measured", file)
    assert (code, out) == (2, "")
    assert "round trips were measured" in err or "expected a JSON list" in err
