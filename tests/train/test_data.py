"""Crops: every rate as configured, clocks that go on, context missing only where it must be."""

import dataclasses
import time

import numpy as np
import pytest

from magenta_rt_py.lm.clock import clock_features
from magenta_rt_py.train.data import (
    MISSING,
    CropConfig,
    CropSampler,
    audio_style_codes,
    captions_of_sections,
    cut_crops,
    exchange_contexts,
    hide_past,
    load_dataset,
    target_sections,
)

FRAMES, LEVELS, DIM = 750, 4, 5
PLAIN = CropConfig(audio_style_probability=1.0).plain()


def write_shard(path, *, pieces=6, frames=FRAMES, first=0, **changes):
    """Codes that tell where they come from: level 0 is the frame modulo 1000, level 1 the piece."""
    codes = np.zeros((pieces, frames, LEVELS), np.int16)
    codes[..., 0] = np.arange(frames) % 1000
    codes[..., 1] = (first + np.arange(pieces))[:, None]
    windows = np.zeros((pieces, 15, 12), np.int16)
    windows[..., 0] = np.arange(15)
    windows[..., 1] = (first + np.arange(pieces))[:, None]
    captions = np.zeros((pieces, 3, 12), np.int16)
    captions[..., 0] = 100 + np.arange(3)
    random = np.random.default_rng(first)
    shard = {
        "codes": codes,
        "frames_per_beat": np.asarray([10, 12, 14, 16, 18, 20])[np.arange(pieces) % 6],
        "style_audio": random.standard_normal((pieces, 15, DIM)).astype(np.float32),
        "style_text": random.standard_normal((pieces, 3, DIM)).astype(np.float32),
        "style_audio_codes": windows,
        "style_text_codes": captions,
        "genre": np.arange(pieces) % 3,
    } | changes
    np.savez(path, **{name: value for name, value in shard.items() if value is not None})
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shards")
    return load_dataset([write_shard(directory / "a.npz"), write_shard(directory / "b.npz", pieces=4, frames=400, first=6)])


def draw(dataset, config, *, batches=40, batch_size=64, quantize=None, seed=1):
    # The same crops in fewer, larger batches are quicker to draw.
    batches, batch_size = max(batches // 8, 1), batch_size * min(batches, 8)
    sampler = CropSampler(dataset, config, batch_size=batch_size, seed=seed, quantize=quantize)
    drawn = [sampler(step) for step in range(batches)]
    return type(drawn[0])(*(np.concatenate(parts) for parts in zip(*drawn, strict=True)))


def test_shards_of_different_lengths_join(dataset):
    assert dataset.pieces == 10 and dataset.levels == LEVELS
    np.testing.assert_array_equal(dataset.codes.counts, [750] * 6 + [400] * 4)
    counts = dataset.code_counts(2)
    assert counts.shape == (2, 1024) and counts[1, 6] == 400 and counts[1, 0] == 750


def test_split_keeps_whole_pieces_apart(dataset):
    train, held_out = dataset.split(0.3)
    assert (train.pieces, held_out.pieces) == (7, 3)
    seen = [set(part.codes.values[:, 1]) for part in (train, held_out)]
    assert not seen[0] & seen[1] and seen[0] | seen[1] == set(range(10))
    assert held_out.codes.counts.sum() == len(held_out.codes.values)
    np.testing.assert_array_equal(held_out.audio_codes.values[::15, 1], sorted(seen[1]))
    with pytest.raises(ValueError, match="cannot be split"):
        dataset.select(np.asarray([0])).split()


def test_batches_depend_on_seed_and_step_alone(dataset):
    config = CropConfig()
    first = CropSampler(dataset, config, batch_size=4, seed=1)
    first(0)
    again = CropSampler(dataset, config, batch_size=4, seed=1)
    for ours, theirs in zip(first(5), again(5), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = CropSampler(dataset, config, batch_size=4, seed=2)
    assert not np.array_equal(first(5).target_codes, other(5).target_codes)
    assert not np.array_equal(first(5).target_codes, first(6).target_codes)


def test_favoured_genres_come_as_often_as_asked_and_from_all_their_frames(dataset):
    weights = {0: 3}
    sampler = CropSampler(dataset, PLAIN, batch_size=6000, seed=1, genre_weights=weights)
    plain = CropSampler(dataset, PLAIN, batch_size=6000, seed=1)
    drawn, usual = sampler(0).target_codes, plain(0).target_codes
    shares = [np.isin(codes[:, 0, 1], np.flatnonzero(dataset.genre == 0)).mean() for codes in (drawn, usual)]
    odds = [share / (1.0 - share) for share in shares]
    assert 2.6 < odds[0] / odds[1] < 3.5
    # Level 0 counts frames: targets begin anywhere in a favoured piece, and never run beyond its end.
    starts = drawn[drawn[:, 0, 1] == 0, 0, 0]
    assert starts.min() < 60 and 640 < starts.max() <= FRAMES - PLAIN.target_frames
    assert (np.diff(drawn[..., 0], axis=1) == 1).all()
    with pytest.raises(ValueError, match="1 or more"):
        CropSampler(dataset, PLAIN, batch_size=6, seed=1, genre_weights={0: 0})


def test_target_follows_context_without_a_gap_and_misses_only_before_the_piece(dataset):
    crops = draw(dataset, PLAIN, batches=10)
    start = crops.target_codes[:, 0, 0]
    np.testing.assert_array_equal(crops.target_codes[..., 0], start[:, None] + np.arange(50))
    expected = start[:, None] + np.arange(-250, 0)
    np.testing.assert_array_equal(crops.context_codes[..., 0], np.where(expected >= 0, expected, MISSING))
    missing = crops.context_codes == MISSING
    np.testing.assert_array_equal(missing, np.broadcast_to((expected < 0)[..., None], missing.shape))
    np.testing.assert_array_equal(crops.target_codes[..., 1].std(1), 0)


def test_every_amount_of_context_occurs_and_cold_starts_at_their_rate(dataset):
    plain = dict(hidden_past_probability=0.0, corrupted_crop_probability=0.0)
    crops = draw(dataset, CropConfig(**plain), batches=200)
    known = (crops.context_codes[..., 0] != MISSING).sum(1)
    assert set(range(251)) <= set(known)
    # Uniform crops start at a first frame too, but only one in several hundred times.
    assert (known == 0).mean() == pytest.approx(0.2, abs=0.02)
    assert (known == 250).mean() > 0.25


def test_hidden_past_at_its_rate_half_of_it_whole(dataset):
    rates = dict(cold_start_probability=0.0, growing_probability=0.0, corrupted_crop_probability=0.0)
    rates |= {"foreign_context_probability": 0.0}
    crops = draw(dataset, CropConfig(hidden_past_probability=0.4, **rates), batches=100)
    start = crops.target_codes[:, 0, 0]
    missing = (crops.context_codes[..., 0] == MISSING).sum(1)[start >= 250]
    assert (missing == 250).mean() == pytest.approx(0.2, abs=0.02)
    assert ((missing > 0) & (missing < 250)).mean() == pytest.approx(0.2, abs=0.02)
    visible = crops.context_codes[..., 0] != MISSING
    assert (np.diff(visible.astype(int), axis=1) >= 0).all(), "only an early part may be hidden"
    assert not crops.context_clock[~visible].any()
    frames = crops.context_codes[visible][:, 0]
    np.testing.assert_array_equal(frames, (start[:, None] + np.arange(-250, 0))[visible])


def test_style_sources_and_mask_at_their_rates(dataset):
    crops = draw(dataset, CropConfig(), batches=60)
    first = crops.style_codes[:, 0]
    assert crops.style_codes.shape[1] == 6
    masked = (crops.style_codes == MISSING).all(1)
    assert masked.mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_array_equal(masked, first == MISSING)
    assert (first >= 100).mean() == pytest.approx(0.45, abs=0.03)
    assert {100, 101, 102} <= set(first)


def test_audio_style_belongs_to_the_piece_and_hears_the_whole_target(dataset):
    pieces = np.repeat(np.arange(6), 701)
    starts = np.tile(np.arange(701), 6)
    codes = audio_style_codes(dataset, PLAIN, pieces, starts)
    window_start = codes[:, 0] * 50
    np.testing.assert_array_equal(codes[:, 1], pieces)
    assert (window_start <= starts).all() and (starts + 50 <= window_start + 250).all()
    assert window_start.max() + 250 == FRAMES, "the last window lies inside the piece"


def test_two_captions_are_blended_at_the_rate(dataset):
    config = CropConfig(audio_style_probability=0.0, style_dropout=0.0, caption_blend_probability=0.3)
    blends = []

    def quantize(embeddings):
        blends.append(embeddings)
        return np.full((len(embeddings), 12), 777, np.int32)

    crops = draw(dataset, config, batches=40, quantize=quantize)
    assert (crops.style_codes[:, 0] == 777).mean() == pytest.approx(0.3, abs=0.03)
    captions = dataset.text_embeddings.values.reshape(dataset.pieces, 3, DIM)
    means = np.stack([(captions[:, i] + captions[:, j]) / 2 for i in range(3) for j in range(3)], 1)
    blend = np.concatenate(blends)[:20]
    assert np.abs(means.reshape(-1, DIM)[None] - blend[:, None]).sum(-1).min(1).max() < 1e-5
    assert (draw(dataset, config, batches=5).style_codes[:, 0] >= 100).all(), "no quantizer, no blend"


def test_clock_goes_on_from_context_to_target(dataset):
    crops = draw(dataset, PLAIN, batches=4)
    beat = np.asarray([10, 12, 14, 16, 18, 20])[crops.target_codes[:, 0, 1] % 6]
    beat[crops.target_codes[:, 0, 1] >= 6] = np.asarray([10, 12, 14, 16])[
        crops.target_codes[crops.target_codes[:, 0, 1] >= 6, 0, 1] - 6
    ]
    frames = crops.target_codes[:, 0, 0][:, None] + np.arange(-250, 50)
    expected = clock_features(frames / beat[:, None], 1500.0 / beat)
    clock = np.concatenate([crops.context_clock, crops.target_clock], 1)
    known = frames >= 0
    np.testing.assert_allclose(clock[known], expected[known], atol=1e-6)
    assert not clock[~known].any()


def test_clock_dropout_at_its_rate_drops_both_clocks(dataset):
    crops = draw(dataset, CropConfig(), batches=80)
    unset = ~crops.target_clock.any(axis=(1, 2))
    assert unset.mean() == pytest.approx(0.08, abs=0.015)
    assert not crops.context_clock[unset].any()
    known = (crops.context_codes[..., 0] != MISSING).any(1) & ~unset
    context_only = ~crops.context_clock[known].any(axis=(1, 2))
    assert context_only.mean() == pytest.approx(0.04, abs=0.015)


def test_a_shifted_clock_is_shifted_and_nothing_else(dataset):
    pieces, starts, style = np.asarray([0]), np.asarray([300]), np.zeros((1, 6), np.int32)
    right = cut_crops(dataset, PLAIN, pieces, starts, style)
    shifted = cut_crops(dataset, PLAIN, pieces, starts, style, clock_shift_beats=0.5)
    np.testing.assert_allclose(shifted.target_clock[0, :45], right.target_clock[0, 5:], atol=1e-5)
    np.testing.assert_array_equal(shifted.target_codes, right.target_codes)


def test_unknown_tempo_leaves_the_clock_unset(tmp_path):
    shard = write_shard(tmp_path / "free.npz", frames_per_beat=np.zeros(6))
    crops = draw(load_dataset([shard]), PLAIN, batches=2)
    assert not crops.target_clock.any() and not crops.context_clock.any()


def test_corruption_at_its_rate_and_of_known_codes_only(dataset):
    rates = dict(cold_start_probability=0.0, growing_probability=0.0, hidden_past_probability=0.0)
    config = CropConfig(**rates, foreign_context_probability=0.0)
    crops = draw(dataset, config, batches=60)
    start = crops.target_codes[:, 0, 0]
    truth = start[:, None] + np.arange(-250, 0)
    np.testing.assert_array_equal(crops.context_codes[..., 0] == MISSING, truth < 0)
    full = start >= 250
    share = (crops.context_codes[..., 0] != truth)[full].mean(1)
    assert (share > 0).mean() == pytest.approx(0.3, abs=0.04)
    # A share drawn from 0..25 %; 250 frames scatter it a little.
    assert share[share > 0].mean() == pytest.approx(0.125, abs=0.02) and share.max() < 0.36
    np.testing.assert_array_equal(crops.target_codes[..., 0], start[:, None] + np.arange(50))


def test_a_foreign_context_is_the_next_crops_and_keeps_its_own_gaps_and_clock(dataset):
    crops = draw(dataset, PLAIN, batches=1, batch_size=16)
    chosen = np.arange(16) % 2 == 0
    changed = exchange_contexts(crops, chosen)
    other = np.roll(crops.context_codes, -1, axis=0)
    both = (crops.context_codes != MISSING) & (other != MISSING)
    np.testing.assert_array_equal(changed.context_codes[both & chosen[:, None, None]], other[both & chosen[:, None, None]])
    np.testing.assert_array_equal(changed.context_codes[~chosen], crops.context_codes[~chosen])
    np.testing.assert_array_equal(changed.context_codes[~both], crops.context_codes[~both])
    assert (changed.context_codes != crops.context_codes).any()
    for name in ("target_codes", "style_codes", "context_clock", "target_clock"):
        np.testing.assert_array_equal(getattr(changed, name), getattr(crops, name))


def test_foreign_contexts_at_their_rate(dataset):
    config = dataclasses.replace(PLAIN, foreign_context_probability=0.25)
    crops = draw(dataset, config, batches=40)
    start = crops.target_codes[:, 0, 0]
    foreign = (crops.context_codes[:, -1, 0] != start - 1)[start >= 250]
    assert foreign.mean() == pytest.approx(0.25, abs=0.04)


def test_hiding_nothing_changes_nothing(dataset):
    crops = draw(dataset, PLAIN, batches=1, batch_size=4)
    for ours, theirs in zip(hide_past(crops, np.zeros(4, np.int64)), crops, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_padding_beyond_a_piece_is_never_drawn(tmp_path):
    shard = write_shard(tmp_path / "short.npz", lengths=np.asarray([750, 60, 49, 300, 50, 51]))
    crops = draw(load_dataset([shard]), CropConfig(corrupted_crop_probability=0.0), batches=100)
    piece, last = crops.target_codes[:, 0, 1], crops.target_codes[:, -1, 0]
    limits = np.asarray([750, 60, 49, 300, 50, 51])[piece]
    assert load_dataset([shard]).code_counts(1).sum() == 750 + 60 + 49 + 300 + 50 + 51
    assert (last < limits).all() and 2 not in piece and {0, 1, 3} <= set(piece)


def test_shards_without_codes_need_the_quantizer(tmp_path):
    shard = write_shard(tmp_path / "a.npz", style_audio_codes=None)
    with pytest.raises(ValueError, match="style_audio_codes"):
        load_dataset([shard])
    loaded = load_dataset([shard], quantize=lambda rows: np.full((len(rows), 12), 9, np.int32))
    assert (loaded.audio_codes.values == 9).all() and len(loaded.audio_codes.values) == 6 * 15
    assert loaded.text_codes.values[:, 0].max() == 102


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"style_text": None, "style_text_codes": None}, "lacks style_text"),
        ({"genre": np.zeros(5)}, "genre holds 5"),
        ({"codes": np.full((6, 60, 4), -1, np.int16)}, "a code is -1"),
    ],
)
def test_broken_shards_are_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        load_dataset([write_shard(tmp_path / "a.npz", **change)])


def test_pieces_that_are_all_too_short_are_refused(tmp_path):
    tiny = load_dataset([write_shard(tmp_path / "a.npz", frames=30)])
    with pytest.raises(ValueError, match="no piece has the 50 frames"):
        CropSampler(tiny, CropConfig(), batch_size=2, seed=0)
    with pytest.raises(ValueError, match="no token shards"):
        load_dataset([])


def test_a_batch_is_quick(dataset):
    sampler = CropSampler(dataset, CropConfig(), batch_size=8, seed=0)
    sampler(0)
    times = []
    for step in range(20):
        started = time.process_time()
        sampler(step)
        times.append(time.process_time() - started)
    # About 5 ms without the tests' type checks; a loop over frames would take far longer.
    assert min(times) < 0.03


@pytest.fixture(scope="module")
def changing(tmp_path_factory):
    """Two pieces of 750 frames; the second changes its style at frame 400. Captions 0 and 1 are the first style's."""
    path = tmp_path_factory.mktemp("changing") / "shard.npz"
    sections = np.array([[0, -1], [0, 400]])
    captions = np.array([[0, 0, 0], [0, 0, 1]])
    return load_dataset([write_shard(path, pieces=2, section_frames=sections, caption_sections=captions)])


def test_a_shard_without_sections_is_one_section(dataset):
    assert dataset.sections.counts.tolist() == [1] * 10 and (dataset.sections.values == 0).all()
    heard = target_sections(dataset, 50, np.array([0, 3]), np.array([0, 700]))
    assert (heard.main == 0).all() and not heard.straddles.any()


def test_targets_know_their_sections(changing):
    pieces, starts = np.array([0, 1, 1, 1, 1, 1]), np.array([380, 300, 355, 370, 395, 400])
    heard = target_sections(changing, 50, pieces, starts)
    np.testing.assert_allclose(heard.share_of_last, [1, 1, 0.1, 0.4, 0.9, 1])
    assert heard.first.tolist() == [0, 0, 0, 0, 0, 1] and heard.last.tolist() == [0, 0, 1, 1, 1, 1]
    assert heard.main.tolist() == [0, 0, 0, 0, 1, 1] and heard.straddles.tolist() == [False] * 3 + [True, False, False]
    fitting = captions_of_sections(changing, np.array([1, 0]), np.array([1, 1]))
    assert fitting.tolist() == [[False, False, True], [True, True, True]]


def test_the_style_of_a_target_is_heard_where_its_section_is_pure(changing):
    # Window w begins at frame 50 w. Unconfined, a target at 400 would hear window 6, which is half in the old style.
    starts = np.array([400, 350, 375, 0, 700])
    codes = audio_style_codes(changing, PLAIN, np.array([1, 1, 1, 1, 1]), starts)
    assert codes[:, 0].tolist() == [8, 3, 6, 0, 10]
    assert audio_style_codes(changing, PLAIN, np.array([0]), np.array([400]))[0, 0] == 6


def test_captions_are_those_of_the_targets_section(changing):
    config = dataclasses.replace(PLAIN, audio_style_probability=0.0)
    crops = draw(changing, config, batches=16)
    second, frame = crops.target_codes[:, 0, 1] == 1, crops.target_codes[:, 0, 0]
    new = second & (frame >= 395)
    assert new.any() and (crops.style_codes[new, 0] == 102).all()
    old = second & (frame < 340)
    assert old.any() and np.isin(crops.style_codes[old, 0], [100, 101]).all()
    # Without a quantizer there is no blend of two captions: a target half in each style has the style of its audio.
    half = second & (frame > 362) & (frame < 388)
    assert half.any() and (crops.style_codes[half, 0] < 15).all()
    assert set(crops.style_codes[~second, 0]) == {100, 101, 102}


def test_captions_of_both_styles_are_blended_by_their_share(changing):
    config = dataclasses.replace(PLAIN, audio_style_probability=0.0)
    blended = []

    def quantize(embeddings):
        blended.extend(embeddings)
        return np.full((len(embeddings), 12), 777)

    crops = draw(changing, config, batches=40, quantize=quantize)
    rows = np.flatnonzero(crops.style_codes[:, 0] == 777)
    texts = changing.text_embeddings.row(1)
    assert len(rows) == len(blended) > 0
    for row, blend in zip(rows, blended, strict=True):
        share = (crops.target_codes[row, 0, 0] + 50 - 400) / 50
        errors = [np.abs((1 - share) * text + share * texts[2] - blend).max() for text in texts[:2]]
        assert min(errors) < 1e-5


def test_changes_of_style_are_drawn_as_often_as_asked(changing):
    crops = draw(changing, dataclasses.replace(PLAIN, change_probability=0.6), batches=40)
    second, frame = crops.target_codes[:, 0, 1] == 1, crops.target_codes[:, 0, 0]
    share = np.mean((frame >= 400) & (frame < 425) & second) / np.mean(second)
    assert share == pytest.approx(0.6 + 0.4 * 25 / 701, abs=0.06)
