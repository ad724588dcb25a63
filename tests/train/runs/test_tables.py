"""Runs as text."""

from magenta_rt_py.train.runs import Run, find_runs, read_run
from magenta_rt_py.train.runs.tables import compare, compare_lines, list_lines, show_lines


def test_the_list_has_a_line_a_run_and_says_what_is_wrong(train, tmp_path):
    train(tmp_path / "one", 3)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "record.json").write_text("{")
    head, *lines = list_lines(find_runs(tmp_path), tmp_path)
    assert head.split() == ["run", "model", "status", "began", "steps", "loss", "held", "out", "data", "commit"]
    one = next(line for line in lines if line.startswith("one"))
    assert {"toy", "finished", "3", "ab12"} <= set(one.split())
    run = read_run(tmp_path / "one")
    assert f"{run.numbers['loss']:.5g}" in one and f"{run.numbers['eval/loss']:.5g}" in one
    place = next(place for place, line in enumerate(lines) if line.startswith("two"))
    assert "broken" in lines[place] and "cannot be read" in lines[place + 1]
    assert one.index("finished") == head.index("status")


def test_measures_other_than_the_loss_are_named(tmp_path):
    metrics = [{"step": 1, "mel": 0.25, "eval/nats_mean": 4.5}]
    _, line = list_lines([Run(directory=tmp_path / "x", status="no record", metrics=metrics)], tmp_path)
    assert "mel 0.25" in line and "nats_mean 4.5" in line


def test_values_that_are_no_numbers_are_shown(tmp_path):
    metrics = [{"step": 1, "loss": float("nan")}]
    _, line = list_lines([Run(directory=tmp_path / "x", status="failed", metrics=metrics)], tmp_path)
    assert " nan " in line


def test_one_run_in_full(train, tmp_path):
    train(tmp_path, 2)
    train(tmp_path, 3)
    text = "\n".join(show_lines(read_run(tmp_path)))
    for words in ("toy, finished, 3 steps", "data: ab12", "session 2", "changed: config.max_steps from 2 to 3",
                  "model.rate", "eval/loss"):  # fmt: skip
        assert words in text, words


def test_two_runs_side_by_side(train, tmp_path):
    train(tmp_path / "a", 2)
    train(tmp_path / "b", 4, rate=0.01)
    left, right = read_run(tmp_path / "a"), read_run(tmp_path / "b")
    compared = compare(left, right)
    assert compared["settings"] == {"max_steps": (2, 4), "model.rate": (0.05, 0.01)}
    assert compared["run"] == {"steps": (2, 4)}
    assert compared["numbers"]["loss"] == (left.numbers["loss"], right.numbers["loss"])
    lines = compare_lines(compared, ("a", "b"))
    assert next(line for line in lines if "model.rate" in line).split() == ["model.rate", "0.05", "0.01"]
    change = 100 * (right.numbers["loss"] - left.numbers["loss"]) / left.numbers["loss"]
    assert next(line for line in lines if line.split()[:1] == ["loss"]).endswith(f"{change:+.1f} %")


def test_equal_settings_are_said_to_be_equal(train, tmp_path):
    train(tmp_path / "a", 2)
    run = read_run(tmp_path / "a")
    assert "settings: no difference" in compare_lines(compare(run, run), ("a", "a"))
