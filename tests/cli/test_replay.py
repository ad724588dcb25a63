"""`mrtpy replay`: the same music again, and a clear line where that cannot be."""

import json

import pytest

from magenta_rt_py.generators.tiny import save_tiny_bundle


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def log(tiny_bundle, tmp_path_factory):
    """Lines of a short performance's log."""
    from magenta_rt_py.cli import main

    path = tmp_path_factory.mktemp("log") / "take.jsonl"
    command = ["live", "--bundle", str(tiny_bundle), "--offline", "--seconds", "1", "--log", str(path), "--json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(path.parent))
        assert main(command) == 0
    return path.read_text().splitlines()


def write(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_changed_checksum_is_seen(run, tiny_bundle, tmp_path, log):
    path = write(tmp_path / "same.jsonl", log)
    code, out, _ = run("replay", path, "--bundle", tiny_bundle)
    assert code == 0 and "identical, sample for sample, over the 1 s" in out
    last = next(number for number, line in enumerate(log) if '"check"' in line)
    entry = json.loads(log[last])
    entry["data"]["crc"] += 1
    path = write(tmp_path / "changed.jsonl", [*log[:last], json.dumps(entry), *log[last + 1 :]])
    code, out, _ = run("replay", path, "--bundle", tiny_bundle)
    assert code == 1 and "NOT the same" in out


def test_a_log_of_before_requests_had_seeds_of_their_own(run, tiny_bundle, tmp_path, log):
    lines = [line.replace('"seed": 0, "conditioning"', '"conditioning"') for line in log]
    assert lines != log
    code, out, _ = run("replay", write(tmp_path / "older.jsonl", lines), "--bundle", tiny_bundle)
    assert code == 0 and "identical, sample for sample, over the 1 s" in out


def test_a_log_that_ends_early_gives_what_it_has(run, tiny_bundle, tmp_path, log):
    first = next(number for number, line in enumerate(log) if '"play"' in line)
    path = write(tmp_path / "short.jsonl", log[: first + 1])
    with path.open("a") as file:
        file.write('{"sample": 960')  # torn
    code, out, _ = run("replay", path, "--bundle", tiny_bundle, "--out", tmp_path / "again.wav")
    assert code == 0 and "ends before its first checksum" in out
    assert (tmp_path / "again.wav").stat().st_size > 44


def test_another_bundle_is_refused(refuse, tmp_path, log):
    other = save_tiny_bundle(tmp_path / "other", seed=1)
    assert "made with bundle" in refuse("replay", write(tmp_path / "take.jsonl", log), "--bundle", other)


def damage(log, kind, change):
    """The log with one event changed."""
    lines = list(log)
    place = next(number for number, line in enumerate(lines) if f'"{kind}"' in line and number)
    entry = json.loads(lines[place])
    change(entry["data"])
    lines[place] = json.dumps(entry)
    return lines


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda log: ["music"], "not an event log"),
        (lambda log: [*log[:3], "{broken", *log[3:]], "line 4 is damaged"),
        (lambda log: [*log[:3], "[1, 2]", *log[3:]], "line 4 is no event"),
        (lambda log: damage(log, "request", lambda data: data.pop("start")), "damaged"),
        (lambda log: damage(log, "request", lambda data: data.update(conditioning=None)), "damaged"),
        (lambda log: damage(log, "request", lambda data: data.update(seed=-1)), "damaged"),
        (lambda log: damage(log, "request", lambda data: data.update(seed="7")), "damaged"),
        (lambda log: damage(log, "request", lambda data: data.update(heard={"shape": [1], "packed": "AAAA"})), "damaged"),
        (lambda log: damage(log, "play", lambda data: data.pop("unit")), "damaged"),
        (lambda log: damage(log, "play", lambda data: data.update(index=1000)), "damaged"),
        (lambda log: [log[0].replace('"past"', '"future"'), *log[1:]], "not of a session"),
    ],
)
def test_a_damaged_log_is_one_line(refuse, tiny_bundle, tmp_path, log, change, message):
    path = write(tmp_path / "take.jsonl", change(log))
    assert message in refuse("replay", path, "--bundle", tiny_bundle)
