"""True music is near true music, noise is far, and the wrong genre's labels diverge."""

import sys

import numpy as np
import pytest

from magenta_rt_py.train.evaluation import features, outside, quality, renders, takes

SECONDS = 10.0


@pytest.fixture
def sets(fake_studio, fake_model, some_prompts):
    """Takes of an obedient model, true renders of the same genres, noise."""
    chosen = some_prompts[:4]
    genres = [prompt.genre for prompt in chosen]
    model = fake_model(knows=True)
    hook = Texts()
    others = {hook.name: hook}
    made = [takes.generate_take(model, prompt, seed=seed, seconds=SECONDS) for prompt in chosen for seed in (1, 2)]
    true = renders.render_sounds(genres, first_seed=5, pieces_per_genre=4, seconds=SECONDS, workers=1)
    noise = renders.noise_sounds(genres, bpms=[120.0] * 4, seconds=SECONDS)
    hear = lambda sounds: [features.hear(sound, model.embed, others=others) for sound in sounds]  # noqa: E731
    return {"takes": hear(made), "true_renders": hear(true), "noise": hear(noise)}


class Texts:
    """A hook that knows loud from quiet, and calls every text loud."""

    name, kind = "texts", "text_audio"

    def __call__(self, samples):
        return np.array([[1.0, float(np.abs(samples).mean())]], np.float32)

    def embed_text(self, text):
        return np.array([1.0, 0.1 * len(text)], np.float32)


def test_halves_share_every_genre(sets):
    first, second = quality.halves(sets["true_renders"])
    assert len(first) == len(second) == 8
    assert {heard.seed for heard in first}.isdisjoint(heard.seed for heard in second)
    assert sorted(heard.genre for heard in first) == sorted(heard.genre for heard in second)


def test_takes_are_near_noise_is_far(sets, trained_probe, some_prompts, tmp_path):
    genres = tuple(prompt.genre for prompt in some_prompts[:4])
    texts = {prompt.genre: prompt.text for prompt in some_prompts[:4]}
    report = quality.evaluate_quality(sets, probe=trained_probe, genres=genres, texts=texts, hooks=[Texts()])
    for space in ("frechet_random", "label_divergence"):
        found = report[space]
        assert found["noise"]["value"] > 3 * found["takes"]["value"], space
        assert found["noise"]["value"] > 3 * found["true_renders"]["value"], space
    assert report["label_divergence"]["wrong_prompt"]["value"] > 3 * report["label_divergence"]["takes"]["value"]
    assert "takes" in report["frechet_texts"]
    assert abs(report["text_audio_texts"]["takes"]["matched_less_shuffled"]["value"]) < 0.2
    table = quality.table_of(report)
    assert [row[0] for row in table.rows] == ["takes", "true renders", "noise", "wrong prompt"]
    quality._draw(tmp_path / "quality.png", report)
    assert (tmp_path / "quality.png").stat().st_size > 5_000


def test_a_hook_of_labels_gives_a_divergence(sets, trained_probe, some_prompts):
    genres = tuple(prompt.genre for prompt in some_prompts[:4])
    hook = Texts()
    hook.kind = "labels"
    report = quality.evaluate_quality(sets, probe=trained_probe, genres=genres, texts={}, hooks=[hook])
    assert report["label_divergence_texts"]["takes"]["value"] >= 0.0
    assert "openl3" not in sys.modules and outside.KNOWN
