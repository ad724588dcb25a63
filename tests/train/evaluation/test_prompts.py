"""The prompts are fixed, and the studio's captions do not contain them."""

import numpy as np

from magenta_rt_py.train import studio
from magenta_rt_py.train.evaluation import prompts


def test_twenty_prompts_with_the_asked_tempos():
    found = [(prompt.genre, prompt.bpm) for prompt in prompts.EVALUATION_PROMPTS]
    assert len({genre for genre, _ in found}) == len(found) == 20
    assert found[0] == ("techno", 125.0)
    assert found[1] == ("lofi hip hop", 75.0)
    assert found[5] == ("trap", 150.0)
    assert prompts.EVALUATION_SEEDS == (11, 12, 13)


def test_a_prompt_is_asked_for_at_a_tempo_of_its_genre():
    for prompt in prompts.EVALUATION_PROMPTS[10:]:
        assert prompt.frames_per_beat in studio.GENRES[prompt.genre].frames_per_beat
    beatless = [prompt.genre for prompt in prompts.EVALUATION_PROMPTS if not prompt.beat_driven]
    assert {"solo piano", "ambient", "cinematic"} <= set(beatless)
    assert len(beatless) < 6


def test_no_caption_is_a_prompt():
    texts = [prompt.text.lower() for prompt in prompts.EVALUATION_PROMPTS]
    captions = []
    for prompt in prompts.EVALUATION_PROMPTS:
        for seed in range(20):
            card = studio.sample_card(seed, genre=prompt.genre)
            captions.extend(studio.captions(card, np.random.default_rng(seed), 6))
    assert len(set(captions)) > 200
    for caption in captions:
        assert caption.lower() not in texts, caption
