"""The comparison with peers: our models answer; two processes are run in turn; what goes wrong is told.

The peers' own library is not installed here: a stand-in takes their place.
"""

import importlib.util
import json
import sys

import pytest

STAND_IN = """
import sys, time
sys.path.insert(0, {folder!r})
import worker

def model(seconds_a_run, numbers):
    def load(order):
        assert order.tiny and order.seconds == 0.5
        print("noise that libraries make")
        def run():
            time.sleep(seconds_a_run)
            with open({log!r}, "a") as log:
                log.write({side!r} + "\\n")
            return order.seconds
        return worker.Loaded(
            parameters=numbers, core_parameters=numbers // 2, sample_rate=24_000, channels=1, bits_per_second=2_200.0,
            runs={{"encode": run, "decode": run}}, note="stand-in",
        )
    return load

worker.serve({{name: model({seconds}, 2_000_000) for name in {models!r}}}, {{{side!r}: "1"}})
"""


@pytest.fixture
def peers(root, monkeypatch):
    """side_by_side.py as a module, its folder importable."""
    folder = root / "benchmarks" / "peers"
    monkeypatch.syspath_prepend(str(folder))
    for name in ("worker", "ours", "side_by_side"):
        sys.modules.pop(name, None)
    spec = importlib.util.spec_from_file_location("side_by_side", folder / "side_by_side.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["side_by_side"] = module
    spec.loader.exec_module(module)
    yield module
    for name in ("worker", "ours", "side_by_side"):
        sys.modules.pop(name, None)


@pytest.fixture
def stand_ins(peers, root, tmp_path):
    """(log of who ran, arguments that put stand-ins in both places)."""
    log = tmp_path / "log"
    programs = {}
    for side, seconds in (("theirs", 0.02), ("ours", 0.01)):
        programs[side] = tmp_path / f"{side}.py"
        models = [model for group in peers.GROUPS.values() for where, model in group if where == side]
        folder = str(root / "benchmarks" / "peers")
        text = STAND_IN.format(folder=folder, log=str(log), side=side, seconds=seconds, models=models)
        programs[side].write_text(text)
    arguments = ["--peers-python", sys.executable, "--tiny", "--seconds", "0.5", "--rounds", "2"]
    return log, [*arguments, "--peers-program", str(programs["theirs"]), "--our-program", str(programs["ours"])]


def test_runs_alternate_and_the_first_is_not_counted(peers, stand_ins, tmp_path, capsys):
    log, arguments = stand_ins
    out = tmp_path / "peers.json"
    assert peers.main([*arguments, "--groups", "codecs", "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    rows = report["groups"]["codecs"]
    assert [row["model"] for row in rows[::2]] == [model for _, model in peers.GROUPS["codecs"]]
    assert {row["run"] for row in rows} == {"encode", "decode"}
    # Three times round: the first compiles and does not count.
    assert log.read_text().split() == 3 * (6 * ["theirs"] + 4 * ["ours"])
    for row in rows:
        assert len(row["seconds"]) == 2
        least = {"theirs": 0.02, "ours": 0.01}[row["side"]] / 0.5
        assert least <= row["seconds_a_second"] == pytest.approx(1 / row["rtf"])
        assert row["seconds_a_second_and_million"] == pytest.approx(row["seconds_a_second"] / 2)
    text = capsys.readouterr().out
    assert "theirs 1, ours 1" in text and "noise" not in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(rows) and len({line.count("|") for line in table}) == 1
    assert "| Mimi 24 kHz | 2 | 1 | 24 kHz mono | 2.2 | encode |" in text


def test_a_table_for_each_group(peers, stand_ins, tmp_path):
    out = tmp_path / "peers.md"
    assert peers.main([*stand_ins[1], "--out", str(out)]) == 0
    assert [line for line in out.read_text().splitlines() if line in peers.GROUPS] == ["music", "codecs"]


def test_what_a_process_says_is_told(peers, root, tmp_path):
    program = tmp_path / "broken.py"
    program.write_text("import sys\nprint('[]', flush=True)\nsys.exit(3)\n")
    worker = peers.Worker(sys.executable, program)
    assert worker.ask(do="drop") == []
    with pytest.raises(peers.WorkerFailedError, match="has ended with 3"):
        for _ in range(2):
            worker.ask(do="drop")
    worker.close()
    folder = str(root / "benchmarks" / "peers")
    program.write_text(f"import sys\nsys.path.insert(0, {folder!r})\nimport worker\nworker.serve({{}}, {{}})\n")
    worker = peers.Worker(sys.executable, program)
    with pytest.raises(peers.WorkerFailedError, match="KeyError: 'nothing'"):
        worker.ask(do="run", model="nothing", run="encode")
    assert worker.ask(do="drop") == {}
    worker.close()


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--seconds", "0"], ["--seconds", "nan"]])
def test_bad_input_is_refused(peers, wrong, capsys):
    with pytest.raises(SystemExit) as stop:
        peers.main(["--peers-python", "none", *wrong])
    assert stop.value.code == 2 and "give 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["Base geometry", "SpectroStream geometry", "starter codec"])
def test_our_models_make_what_they_say(peers, model):
    import ours  # pyright: ignore[reportMissingImports]
    import worker  # pyright: ignore[reportMissingImports]

    loaded = ours.MODELS[model](worker.Order(seconds=0.4, dtype="float32", tiny=True))
    assert loaded.parameters >= loaded.core_parameters > 1000
    assert (loaded.sample_rate, loaded.channels, loaded.bits_per_second) == (48_000, 2, 4_000.0)
    assert set(loaded.runs) in ({"generate"}, {"encode", "decode"})
    assert all(run() == pytest.approx(0.4) for run in loaded.runs.values())


def test_every_model_of_the_comparison_is_there(peers, root):
    import ours  # pyright: ignore[reportMissingImports]

    assert {model for group in peers.GROUPS.values() for side, model in group if side == "ours"} == set(ours.MODELS)
    text = (root / "benchmarks" / "peers" / "theirs.py").read_text()
    assert all(f'"{model}":' in text for group in peers.GROUPS.values() for side, model in group if side == "theirs")
    assert ours._requests(120) == [50, 50, 20] and ours._requests(50) == [50]
