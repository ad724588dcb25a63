"""Steering and beat: a model that does what it is told scores high, one that does not scores low."""

import dataclasses
import json

import numpy as np
import pytest

from magenta_rt_py.train.evaluation import beat, features, steering, takes
from magenta_rt_py.train.evaluation.named_instruments import Detector

SECONDS = 10.0


def _heard(model, prompts, *, style_masked=False):
    made = []
    for prompt in prompts:
        sound = takes.generate_take(model, prompt, seed=11, seconds=SECONDS, style_masked=style_masked)
        made.append(features.hear(sound, model.embed, text=prompt.text))
    return made


@pytest.fixture
def judged(trained_probe, some_prompts):
    """Makes a steering report of a model's takes."""

    def make(model, *, style_masked=False, detectors=None):
        heard = _heard(model, some_prompts, style_masked=style_masked)
        texts = features.direction(np.stack([model.embed(prompt.text) for prompt in some_prompts]).astype(float))
        judges = steering.Judges(trained_probe, texts, some_prompts, detectors)
        return steering.evaluate_steering(judges, {"takes": heard}, prompts=some_prompts), heard

    return make


def test_a_take_is_asked_with_text_seed_and_tempo(fake_model, some_prompts):
    model = fake_model(knows=True)
    take = takes.generate_take(model, some_prompts[1], seed=12, seconds=4.0)
    assert take.samples.shape == (192_000, 2)
    assert model.asked == [({"dusty lofi beat to study to": 1.0}, 12, 75.0)]


def test_a_model_that_obeys_scores_high(fake_model, judged, some_prompts):
    report, heard = judged(fake_model(knows=True))
    assert report["takes"]["probe_top1"]["hits"] >= 9
    assert report["takes"]["style_rank1"]["hits"] >= 9
    assert report["takes"]["probe_wrong_prompt"]["hits"] == 0
    assert report["takes"]["text_audio_score"]["value"] > 0.8
    assert report["takes"]["cosine_matched"]["value"] > report["takes"]["cosine_shuffled"]["value"]
    found = beat.evaluate_beat({"takes": heard, "true_renders": heard}, prompts=some_prompts)
    assert found["pulse_ratio"]["value"] == 1.0
    assert found["takes"]["sounds"] == 7
    assert found["takes"]["tempo_exact"]["share"] > 0.7
    assert all(verdict.is_met for verdict in steering.verdicts_of(report))
    text = "".join(table.to_text() for table in (*steering.tables_of(report), *beat.tables_of(found)))
    assert "warehouse techno at night" in text
    json.dumps([report, found])


def test_a_model_that_plays_noise_scores_low(fake_model, judged, some_prompts):
    obedient = _heard(fake_model(knows=True), some_prompts)
    report, heard = judged(fake_model(knows=False))
    assert report["takes"]["probe_top1"]["hits"] <= 2
    assert report["takes"]["style_rank1"]["hits"] <= 2
    assert abs(report["takes"]["text_audio_score"]["value"]) < 0.2
    assert not any(verdict.is_met for verdict in steering.verdicts_of(report))
    assert sum(row["count"] for row in report["confusions"]) >= 8
    found = beat.evaluate_beat({"takes": heard, "true_renders": obedient}, prompts=some_prompts)
    assert found["pulse_ratio"]["value"] < 0.5
    assert found["takes"]["tempo_exact"]["share"] < 0.5
    assert not any(verdict.is_met for verdict in beat.verdicts_of(found))


def test_masked_style_takes_away_the_genre(fake_model, judged):
    report, _ = judged(fake_model(knows=True), style_masked=True)
    assert report["takes"]["probe_top1"]["hits"] <= 2


class Yes(Detector):
    """A detector that hears everything."""

    def __init__(self):
        pass

    def hears(self, descriptors):
        return True


def test_an_instrument_that_is_named_and_heard_counts_where_the_genre_is_missed(fake_model, judged, some_prompts):
    plain, _ = judged(fake_model(knows=False))
    report, _ = judged(fake_model(knows=False), detectors={some_prompts[3].genre: Yes(), some_prompts[4].genre: Yes()})
    more = report["takes"]["genre_or_instrument"]["hits"] - plain["takes"]["genre_or_instrument"]["hits"]
    assert 1 <= more <= 2
    assert report["takes"]["genre_or_instrument_wrong_prompt"]["hits"] >= 1, "the floor must rise as well"


def test_without_a_style_model_only_the_probe_judges(fake_model, trained_probe, some_prompts):
    (heard,) = _heard(fake_model(knows=True), some_prompts[:1])
    heard = dataclasses.replace(heard, style=None)
    judgement = steering.Judges(trained_probe, None, some_prompts).judge(heard)
    assert judgement.style_ranking == ()
    assert judgement.probe_ranking[0] == "techno"
    assert "style_rank1" not in steering.summarise([judgement], tuple(prompt.genre for prompt in some_prompts))
