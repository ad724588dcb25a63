import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.style import config as presets
from magenta_rt_py.style.embedder import StyleModel
from magenta_rt_py.style.spectrogram import log_mel
from magenta_rt_py.style.tokenizer import PAD_ID, Tokenizer
from magenta_rt_py.train.style import (
    StyleTrainOptions,
    caption_loss,
    contrastive_loss,
    init_params,
    make_loss,
    retrieval_metrics,
    tag_loss,
    train_style,
)
from magenta_rt_py.train.style_data import Part, StyleBatchConfig, StyleDataset, StyleSampler
from magenta_rt_py.train.style_metrics import part_metrics

CONFIG = presets.tiny()
TONES_HZ = {"low hum": 120.0, "warm cello": 400.0, "bright flute": 1500.0, "shrill whistle": 5000.0}
OPTIONS = StyleTrainOptions(
    batch_size=16,
    learning_rate=3e-3,
    warmup_steps=10,
    max_steps=100,
    quantizer_vectors=120,
    held_out_fraction=0.2,
    caption_weight=1.0,
)


def tones(pieces_per_genre: int = 10, windows: int = 2) -> StyleDataset:
    """Pieces of noisy tones at four pitches: a data set a tiny model learns in seconds."""
    random = np.random.default_rng(0)
    names = [name for name in TONES_HZ for _ in range(pieces_per_genre)]
    rows = np.repeat(names, windows)
    frequencies_hz = np.array([TONES_HZ[name] for name in rows]) * random.uniform(0.9, 1.1, len(rows))
    time = np.arange(CONFIG.clip_samples) / CONFIG.sample_rate_hz
    clips = 0.3 * np.sin(2 * np.pi * frequencies_hz[:, None] * time) + 0.02 * random.normal(size=(len(rows), len(time)))
    return StyleDataset(
        log_mels=log_mel(clips.astype(np.float32), CONFIG).astype(np.float16),
        captions=[[name, f"a {name} {number}"] for number, name in enumerate(names)],
        piece_of_window=np.repeat(np.arange(len(names)), windows),
        genre=np.array([list(TONES_HZ).index(name) for name in names]),
        genre_names=list(TONES_HZ),
    )


@pytest.fixture(scope="module")
def dataset() -> StyleDataset:
    return tones()


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    directory = tmp_path_factory.mktemp("style")
    lines = []
    result = train_style(dataset, CONFIG, seconds_budget=600.0, directory=directory, log=lines.append, options=OPTIONS)
    return directory, *result, lines


def test_training_beats_chance_on_held_out_pieces(trained):
    directory, tensors, tokenizer_bytes, lines = trained
    result = json.loads((directory / "result.json").read_text())
    assert result["chance"] < 0.6
    assert result["top1"] > 0.9
    assert result["genre_top1"] > 0.9
    assert result["pair_cosine"] > result["wrong_cosine"] + 0.5
    assert lines[-1].startswith("style pair_cosine")
    model = StyleModel.from_tensors(CONFIG, tensors, tokenizer_bytes)
    assert model.embed_text(["shrill whistle"]).shape == (1, 16)


def test_loss_falls_and_is_written_down(trained):
    lines = [json.loads(line) for line in (trained[0] / "metrics.jsonl").read_text().splitlines()]
    losses = [line["contrastive"] for line in lines if "contrastive" in line]
    assert losses[-1] < 0.6 * losses[0]


def test_codes_of_a_text_stand_near_those_of_its_audio(trained):
    result = json.loads((trained[0] / "result.json").read_text())
    assert result["first_vector_cosine"] > result["wrong_cosine"] + 0.3
    assert result["quantized_cosine_6"] > 0.85


def test_a_finished_run_is_not_trained_again(trained, dataset):
    directory, tensors, tokenizer_bytes, _ = trained
    lines = []
    again, again_bytes = train_style(
        dataset, CONFIG, seconds_budget=600.0, directory=directory, log=lines.append, options=OPTIONS
    )
    assert lines[0].startswith("resumed at step 100")
    assert again_bytes == tokenizer_bytes
    for name, value in tensors.items():
        np.testing.assert_array_equal(again[name], value)


def test_another_config_does_not_resume(trained, dataset):
    wider = dataclasses.replace(CONFIG, text_width=64)
    with pytest.raises(CheckpointError, match="another config"):
        train_style(dataset, wider, seconds_budget=1.0, directory=trained[0], options=OPTIONS)


def test_captions_are_learned_too(trained):
    lines = [json.loads(line) for line in (trained[0] / "metrics.jsonl").read_text().splitlines()]
    losses = [line["caption"] for line in lines if "caption" in line]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("caption_weight", [0.0, 1.0])
def test_captions_cost_nothing_unless_asked_for(sampler, caption_weight):
    options = StyleTrainOptions(caption_weight=caption_weight)
    params = jax.eval_shape(lambda: init_params(CONFIG, options, 0))
    loss = make_loss(CONFIG, options, sampler.front_end())
    _, parts = jax.eval_shape(loss, params, sampler.batch(4, 0), jax.random.PRNGKey(0))
    assert ("decoder" in params) == ("caption" in parts) == bool(caption_weight)


def test_contrastive_loss_equals_the_definition():
    audio, text = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[[0, 2, 1]]
    logits = 2.0 * audio @ text.T
    rows = -np.log(np.exp(np.diag(logits)) / np.exp(logits).sum(axis=1))
    loss = contrastive_loss(*map(jnp.asarray, (audio, text)), jnp.asarray(2.0), jnp.zeros((3, 3), bool))
    assert loss == pytest.approx(rows.mean(), rel=1e-5)


def test_false_negatives_do_not_count():
    audio = text = jnp.asarray(np.ones((2, 4), np.float32) / 2)
    same, scale = jnp.ones((2, 2), bool), jnp.asarray(10.0)
    assert contrastive_loss(audio, text, scale, ~same) == pytest.approx(np.log(2), rel=1e-5)
    assert contrastive_loss(audio, text, scale, same) == pytest.approx(0.0, abs=1e-6)


def test_tag_loss_asks_for_every_claim_or_for_one_true_tag():
    tags = jnp.eye(4)
    row = jnp.array([[0.8, 0.0, 0.6, 0.0]])
    true = jnp.array([[True, True, False, False]])

    def loss(claims: list[bool]) -> float:
        return float(tag_loss(row, tags, jnp.asarray(2.0), true, jnp.array([claims])))

    logits = 2.0 * np.array([0.8, 0.0, 0.6, 0.0])
    wrong = np.exp(logits[2]) + np.exp(logits[3])
    one, other = np.exp(logits[:2])

    def near(good: float) -> float:
        return -np.log(good / (good + wrong))

    np.testing.assert_allclose(loss([True, False, False, False]), near(one), rtol=1e-5)
    np.testing.assert_allclose(loss([True, True, False, False]), (near(one) + near(other)) / 2, rtol=1e-5)
    np.testing.assert_allclose(loss([False] * 4), near(one + other), rtol=1e-5)


def test_caption_loss_does_not_count_padding():
    ids, present = jnp.array([[1, 2, 0, 0]]), jnp.array([[True, True, False, False]])
    logits = jnp.zeros((1, 4, 8)).at[0, 1:, 3].set(50.0)  # wrong, but only where there is padding
    assert caption_loss(logits, ids, present) == pytest.approx(np.log(8), rel=1e-5)


def test_retrieval_metrics_of_perfect_and_of_wrong_pairs():
    vectors, labels = np.eye(4, dtype=np.float32), np.arange(4)
    assert retrieval_metrics(vectors, vectors, labels) == {
        "pair_cosine": 1.0,
        "wrong_cosine": 0.0,
        "top1": 1.0,
        "chance": 0.25,
    }
    assert retrieval_metrics(vectors, np.roll(vectors, 1, axis=0), labels)["top1"] == 0.0


@pytest.fixture
def sampler(dataset, trained):
    tokenizer = Tokenizer(trained[2], CONFIG)
    return StyleSampler(dataset, tokenizer, held_out_fraction=0.2, seed=0)


def test_batches_repeat_by_step_and_never_hold_held_out_pieces(sampler, dataset):
    batch, again, other = sampler.batch(8, 3), sampler.batch(8, 3), sampler.batch(8, 4)
    np.testing.assert_array_equal(batch.log_mels, again.log_mels)
    assert (batch.token_ids.shape != other.token_ids.shape) or (batch.token_ids != other.token_ids).any()
    assert not set(sampler.held_out_pieces) & set(sampler.training_pieces)
    assert len(sampler.held_out_pieces) == 8
    texts = {sampler.tokenizer.decode(row.tolist()) for step in range(40) for row in sampler.batch(16, step).token_ids}
    held_out = {dataset.captions[piece][1] for piece in sampler.held_out_pieces}
    assert not texts & held_out


def test_a_genres_own_caption_is_no_negative_for_its_pieces(sampler, dataset):
    pieces = np.array([0, 1, 10, 20])  # two hums, a cello, a flute
    mask = sampler._not_negative(pieces, ["low hum", "a low hum 1", "warm cello", "a bright flute 20"])
    expected = np.eye(4, dtype=bool)
    expected[1, 0] = True  # "low hum" fits the other hum as well; "a low hum 1" is one piece's own
    np.testing.assert_array_equal(mask, expected)


def test_shards_are_as_good_as_one_array(dataset):
    whole = dataset.windows(np.array([0, 79, 30, 31]))
    shards = dataclasses.replace(dataset, log_mels=[dataset.log_mels[:31], dataset.log_mels[31:]])
    np.testing.assert_array_equal(shards.windows(np.array([0, 79, 30, 31])), whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"piece_of_window": np.arange(3)}, "80 windows but 3 piece numbers"),
        ({"piece_of_window": np.full(80, 40)}, "must name pieces 0..39"),
        ({"genre": np.zeros(3, int)}, "3 genre labels for 40 pieces"),
        ({"captions": [[" "]] * 40}, "40 pieces have no caption"),
        ({"parts": [(Part("genre a", ("a",)),)] * 3}, "3 lists of parts for 40 pieces"),
        ({"parts": [()] * 40}, "has no parts"),
    ],
)
def test_data_that_does_not_fit_together_is_refused(dataset, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(dataset, **change)


def with_parts(dataset: StyleDataset) -> StyleDataset:
    """The tones with a genre and, for every second piece, an instrument; the others have one part only."""
    parts = []
    for piece, texts in enumerate(dataset.captions):
        genre = (Part(f"genre {texts[0]}", (texts[0], f"{texts[0]} tone")),)
        parts.append((*genre, Part("instrument oboe", ("oboe",))) if piece % 2 == 0 else genre)
    return dataclasses.replace(dataset, parts=parts)


@pytest.fixture
def part_sampler(dataset, trained):
    tokenizer = Tokenizer(trained[2], CONFIG)
    batches = StyleBatchConfig(composed_share=0.5, single_share=0.25, same_genre_share=0.0)
    return StyleSampler(with_parts(dataset), tokenizer, held_out_fraction=0.2, seed=0, batches=batches)


def test_composed_captions_join_the_words_that_are_said_alone(part_sampler):
    decode = part_sampler.tokenizer.decode
    batch = part_sampler.batch(16, 0)
    assert batch.part_ids.shape[:2] == (8, 2)
    seen, whole = set(), 0
    for ids, pair in zip(batch.token_ids[:8], batch.part_ids, strict=True):
        words = [decode(row.tolist()) for row in pair]
        is_cut = ids[-1] != PAD_ID  # the tiny model reads 16 tokens; each row is read from its first word on all the same
        assert is_cut or all(word in decode(ids.tolist()) for word in words), words
        assert any(word in decode(ids.tolist()) for word in words), words
        seen |= set(words)
        whole += not is_cut
    assert "oboe" in seen and whole >= 4
    singles = {decode(ids.tolist()) for ids in batch.token_ids[8:12]}
    assert singles <= {"oboe", *TONES_HZ, *(f"{name} tone" for name in TONES_HZ)}


def test_a_claim_that_is_true_of_a_clip_is_no_negative_for_it(part_sampler):
    pieces = np.array([0, 1, 2, 10])  # two hums with and one without an oboe, a cello with one
    claims = [frozenset({"instrument oboe"}), frozenset({"genre low hum", "instrument oboe"}), frozenset(), frozenset()]
    mask = part_sampler._not_negative(pieces, ["oboe", "low hum with oboe", "x", "y"], claims)
    np.testing.assert_array_equal(mask[:, 0], [True, False, True, True])
    np.testing.assert_array_equal(mask[:, 1], [True, True, True, False])  # row 1 is the piece that was drawn for it


def test_a_batch_names_what_is_true_and_what_is_said(part_sampler):
    batch = part_sampler.batch(16, 0)
    assert part_sampler.tags == (*(f"genre {name}" for name in sorted(TONES_HZ)), "instrument oboe")
    assert (batch.tags[:, :4].sum(axis=1) == 1).all() and 0 < batch.tags[:, 4].sum() < 16
    assert (batch.claims <= batch.tags).all()
    claimed = batch.claims.sum(axis=1)
    assert (claimed[:8] >= 1).all() and (claimed[8:12] == 1).all() and (claimed[12:] == 0).all()


def test_batches_hold_several_pieces_of_a_genre(dataset, trained):
    tokenizer = Tokenizer(trained[2], CONFIG)
    batches = StyleBatchConfig(same_genre_share=1.0, same_genre_pieces=4)
    sampler = StyleSampler(dataset, tokenizer, held_out_fraction=0.2, seed=0, batches=batches)
    pieces = sampler._draw_pieces(8, np.random.default_rng(0))
    assert set(np.unique(dataset.genre[pieces], return_counts=True)[1]) <= {4, 8} and len(pieces) == 8
    assert len(np.unique(dataset.genre[pieces])) <= 2 and not set(pieces) & set(sampler.held_out_pieces)


def test_a_caption_keeps_at_least_a_word(sampler):
    random = np.random.default_rng(0)
    texts = [sampler._lose_words("bright flute in the dark", random) for _ in range(300)]
    assert min(len(text.split()) for text in texts) >= 1
    assert 0.1 < np.mean([text != "bright flute in the dark" for text in texts]) < 0.35


def test_blends_are_pulled_towards_what_both_words_mean(dataset, tmp_path):
    options = dataclasses.replace(OPTIONS, max_steps=60, caption_weight=0.0)
    directory = tmp_path / "style"
    train_style(with_parts(dataset), CONFIG, seconds_budget=600.0, directory=directory, log=None, options=options)
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    losses = [line["composition"] for line in lines if "composition" in line]
    assert losses[-1] < 0.6 * losses[0] + 0.05
    for name in ("audio_tags", "text_tags"):
        losses = [line[name] for line in lines if name in line]
        assert losses[-1] < 0.6 * losses[0], name
    result = json.loads((directory / "result.json").read_text())
    assert result["instrument_precision"] == 1.0  # there is one instrument


def test_composition_rank_is_one_where_blends_equal_joined_captions():
    def embed_text(texts):
        """A text as the sum of its words' own axes."""
        axes = {word: np.eye(8, dtype=np.float32)[n] for n, word in enumerate(("techno", "jazz", "flute", "oboe"))}
        return np.stack([sum(axes[word] for word in text.split()) for text in texts])

    parts = [
        tuple(Part(f"{kind} {word}", (word,)) for kind, word in (("genre", genre), ("instrument", instrument)))
        for genre in ("techno", "jazz")
        for instrument in ("flute", "oboe")
    ]
    audio = embed_text([f"{one.words[0]} {two.words[0]}" for one, two in parts])
    metrics = part_metrics(embed_text, audio, parts)
    assert metrics["composition_top1"] == 1.0 and metrics["composition_pairs"] == 4.0
    assert metrics["instrument_precision"] == 1.0 and metrics["instrument_chance"] == 0.5
    wrong = part_metrics(embed_text, np.roll(audio, 1, axis=0), parts)
    assert wrong["instrument_precision"] < 1.0
