"""Steering and beat: a model that does what it is told scores high, one that does not scores low."""

import json

import numpy as np

from magenta_rt_py.train.evaluation import beat, steering, tables, takes
from magenta_rt_py.train.evaluation.prompts import EVALUATION_PROMPTS


def _report(model, trained_probe, **options):
    made = takes.generate_takes(model, seeds=(11,), seconds=10.0, **options)
    judges = steering.Judges(trained_probe, model.embed)
    return steering.evaluate_steering(judges, {"takes": made}), made


def test_every_prompt_and_seed_is_asked_with_its_tempo(fake_model):
    model = fake_model(knows=True)
    made = takes.generate_takes(model, prompts=EVALUATION_PROMPTS[:2], seeds=(11, 12), seconds=4.0)
    assert [len(take.samples) for take in made] == [192_000] * 4
    assert [(seed, bpm) for _, seed, bpm in model.asked] == [(11, 125.0), (12, 125.0), (11, 75.0), (12, 75.0)]
    assert model.asked[0][0] == {"warehouse techno at night": 1.0}


def test_a_model_that_obeys_scores_high(fake_model, trained_probe):
    report, made = _report(fake_model(knows=True), trained_probe)
    assert report["takes"]["probe_top1"]["hits"] >= 9
    assert report["takes"]["style_rank1"]["hits"] >= 9
    assert report["takes"]["probe_wrong_prompt"]["hits"] == 0
    found = beat.evaluate_beat({"takes": made, "true_renders": made})
    assert found["pulse_ratio"] == 1.0
    assert found["takes"]["sounds"] == 7
    assert found["takes"]["tempo_exact"]["share"] > 0.7
    text = tables.steering_text(report) + tables.beat_text(found)
    assert "warehouse techno at night" in text
    json.dumps([report, found])


def test_a_model_that_plays_noise_scores_low(fake_model, trained_probe):
    obedient = takes.generate_takes(fake_model(knows=True), seeds=(11,), seconds=10.0)
    report, made = _report(fake_model(knows=False), trained_probe)
    assert report["takes"]["probe_top1"]["hits"] <= 2
    assert report["takes"]["style_rank1"]["hits"] <= 2
    assert sum(row["count"] for row in report["confusions"]) >= 8
    found = beat.evaluate_beat({"takes": made, "true_renders": obedient})
    assert found["pulse_ratio"] < 0.5
    assert found["takes"]["tempo_exact"]["share"] < 0.5


def test_masked_style_takes_away_the_genre(fake_model, trained_probe):
    report, _ = _report(fake_model(knows=True), trained_probe, style_masked=True)
    assert report["takes"]["probe_top1"]["hits"] <= 2


def test_takes_are_kept_with_a_picture(fake_model, tmp_path):
    made = takes.generate_takes(fake_model(knows=True), prompts=EVALUATION_PROMPTS[:2], seeds=(11,), seconds=4.0)
    takes.save_takes(tmp_path, made)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "contact_sheet.png",
        "lofi_hip_hop_11.flac",
        "techno_11.flac",
    ]


def test_without_a_style_model_only_the_probe_judges(fake_model, trained_probe):
    made = takes.generate_takes(fake_model(knows=True), prompts=EVALUATION_PROMPTS[:1], seeds=(11,), seconds=10.0)
    judged = steering.Judges(trained_probe, None).judge(made[0])
    assert judged.style_ranking == ()
    assert judged.probe_ranking[0] == "techno"
    assert np.isfinite(judged.probe_probability)
