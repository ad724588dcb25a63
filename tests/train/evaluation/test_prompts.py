"""The prompts are fixed, and the studio's captions do not contain them."""

import numpy as np

from magenta_rt_py.train import studio
from magenta_rt_py.train.evaluation import prompts


def test_ten_prompts_with_the_asked_tempos():
    found = [(prompt.genre, prompt.bpm) for prompt in prompts.EVALUATION_PROMPTS]
    assert len({genre for genre, _ in found}) == 10
    assert found[0] == ("techno", 125.0)
    assert found[1] == ("lofi hip hop", 75.0)
    assert found[5] == ("trap", 150.0)
    assert prompts.EVALUATION_SEEDS == (11, 12, 13)


def test_no_caption_contains_a_prompt():
    texts = [prompt.text.lower() for prompt in prompts.EVALUATION_PROMPTS]
    captions = []
    for prompt in prompts.EVALUATION_PROMPTS:
        for seed in range(20):
            card = studio.sample_card(seed, genre=prompt.genre)
            captions.extend(studio.captions(card, np.random.default_rng(seed), 6))
    assert len(set(captions)) > 200
    for caption in captions:
        assert not any(text in caption.lower() for text in texts), caption
