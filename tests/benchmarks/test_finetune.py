"""The finetune benchmark's own arithmetic: clock, music on disk, distance and verdicts."""

import importlib.util
import json
import sys

import numpy as np
import pytest


@pytest.fixture
def benchmark(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    spec = importlib.util.spec_from_file_location("finetune_benchmark", root / "benchmarks" / "finetune.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def interval(low, high):
    return {"value": (low + high) / 2, "interval_95": [low, high]}


def report_with(
    fall=0.2, prepare=5.0, finetune=20.0, distance=(-3, -1), cosine=(0.1, 0.3), scores=(0.8, 0.75)
):
    names = ("starter", "finetuned")
    return {
        "prepare_minutes": prepare,
        "finetune_minutes": finetune,
        "held_out_nats": {"before": 4.0, "after": 4.0 * (1 - fall), "fall": fall},
        "nearness": {
            **{name: {"takes": 4, "frechet_random": interval(1, 4), "style_cosine": interval(0.2, 0.6)} for name in names},
            "difference": {"frechet_random": interval(*distance), "style_cosine": interval(*cosine)},
        },
        "steering": {name: {"probe_top1": {"share": share}} for name, share in zip(names, scores, strict=True)},
    }  # fmt: skip


def test_every_verdict_can_fail(benchmark):
    assert all(benchmark.verdicts_of(report_with()).values())
    for wrong, name in (
        ({"fall": 0.09}, "held-out loss falls"),
        ({"finetune": 36.0}, "in time"),
        ({"distance": (-3, 0.1)}, "nearer by Frechet distance"),
        ({"cosine": (-0.1, 0.3)}, "nearer by style cosine"),
        ({"scores": (0.8, 0.7)}, "steering stays"),
    ):
        verdicts = benchmark.verdicts_of(report_with(**wrong))
        assert [key for key, holds in verdicts.items() if not holds] == [name]


def test_the_report_is_for_people_and_for_programs(benchmark):
    report = report_with() | {"method": "full", "steps": 10, "minutes_of_music": 30.0}
    report |= {"verdicts": benchmark.verdicts_of(report)}
    lines = benchmark.lines_of(json.loads(json.dumps(report)))
    assert "20.0 % less" in lines[2] and lines[-1].startswith("yes")


def test_time_is_counted_until_the_work_is_done_once(benchmark, tmp_path, monkeypatch):
    clock = iter((0.0, 2.0, 10.0, 13.0, 20.0, 29.0))
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(clock))

    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark.timed(tmp_path / "clock.json", stopped)
    assert benchmark.timed(tmp_path / "clock.json", lambda: "done") == ("done", 5.0)
    assert benchmark.timed(tmp_path / "clock.json", lambda: "done again") == ("done again", 5.0)


def test_nearer_sounds_have_a_smaller_distance_with_an_interval(benchmark):
    time = np.arange(20 * 48_000) / 48_000
    random = np.random.default_rng(0)

    def sound(hz):
        tone = 0.3 * np.sin(2 * np.pi * hz * time) + random.normal(0, 0.02, len(time))
        return np.stack([tone, tone], axis=1).astype(np.float32)

    reference = [sound(hz) for hz in (220, 230, 240)]
    near, far = (
        benchmark.Distances.between(benchmark.described([sound(hz) for hz in tones]), benchmark.described(reference))
        for tones in ((225, 235, 245), (2200, 2300, 2500))
    )
    estimate = near.estimate()
    assert near.whole < 0.5 * far.whole
    assert estimate.low <= estimate.value <= estimate.high and estimate.count == 3
    gained = near.minus(far)
    assert gained.value == near.whole - far.whole and gained.high < 0 < far.minus(near).low
    assert near.minus(near).low == near.minus(near).high == 0.0, "what both pairs share is not counted as chance"
    with pytest.raises(ValueError):
        near.minus(benchmark.Distances(1.0, (1.0,)))


def test_what_clusters_differ_by_is_no_chance(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "TAKE_SEEDS", (1, 2))
    assert benchmark.by_cluster([1.0, 2.0, 3.0, 4.0]) == [[1.0, 2.0], [3.0, 4.0]]
    apart = benchmark.cosine_of([0.1, 0.1, 0.9, 0.9])
    assert apart.value == apart.low == apart.high == pytest.approx(0.5) and apart.count == 4
    within = benchmark.cosine_of([0.1, 0.9, 0.1, 0.9])
    # Two clusters of two takes each: variance of the mean is the mean of the clusters' s^2 / 2, over 2.
    assert within.high - within.value == pytest.approx(1.96 * np.sqrt(0.32 / 2 / 2), rel=1e-3)


def test_takes_are_asked_for_without_a_tempo(benchmark):
    class Model:
        defaults = benchmark.system.default_controls(benchmark.load_bundle(benchmark.starter_path()))

        def style_from(self, embeddings):
            return embeddings

        def stream(self, style, *, seed, controls):
            self.asked = controls
            return self

        def chunks(self, count):
            return [np.zeros((4, 2), np.float32)] * count

    model = Model()
    assert model.defaults.bpm is not None
    assert len(benchmark.take_of(model, np.zeros(4, np.float32), 3)) == 4 * 10
    assert model.asked.bpm is None and model.asked.guidance_weight == model.defaults.guidance_weight


def test_a_song_is_cut_in_minutes_and_its_last_one_is_kept_for_judging(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "PIECE_SECONDS", 0.5)
    monkeypatch.setattr(benchmark, "TAKE_SECONDS", 0.2)
    monkeypatch.setattr(benchmark.studio, "FINETUNE_GENRES", ())
    song = np.random.default_rng(0).uniform(-0.5, 0.5, (round(1.5 * 48_000), 2)).astype(np.float32)
    assert benchmark.write_song(tmp_path, song) == 2
    files = sorted(tmp_path.glob("*.flac"))
    assert [file.name for file in files] == ["recorded-000.flac", "recorded-001.flac"]
    assert all("rock" in file.with_suffix(".txt").read_text() for file in files)
    written = np.concatenate([benchmark.audio.read(file).samples for file in files])
    assert np.abs(written - song[:48_000]).max() < 1e-3
    kept = benchmark.reference_of(song)["recorded"]
    assert len(kept) == 2 and np.array_equal(np.concatenate(kept), song[48_000 : 48_000 + 19_200])
    assert benchmark.write_song(tmp_path / "short", song[:20_000]) == 0
    assert benchmark.reference_of(None) == {}


def test_the_recorded_source_is_one_of_those_that_are_named(benchmark):
    recording = next(one for one in benchmark.real_recordings.RECORDINGS if one.name == benchmark.RECORDED)
    assert recording.licence == "MIT"
