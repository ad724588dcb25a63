"""Batches of a finetune: new and known music in the share asked for, by seed and step alone."""

import dataclasses

import numpy as np

from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.train.data import load_dataset
from magenta_rt_py.train.finetune.crops import crops_of, is_masked, make_sampler
from tests.train.finetune.conftest import PIECES, quick

CODE_OF_THE_KNOWN = 1023


def datasets(shards):
    new = load_dataset(sorted(shards.glob("*.npz")))
    codes = new.codes._replace(values=np.full_like(new.codes.values, CODE_OF_THE_KNOWN))
    return new, new._replace(codes=codes)


def test_the_share_is_rehearsed_and_every_step_is_repeatable(bundle, shards):
    model = LMConfig(**bundle.configs["lm"])
    new, known = datasets(shards)
    config = quick(batch_size=8, rehearsal_share=0.3)
    sampler = make_sampler(config, model, new, known, None)
    rehearsed = np.stack([(sampler(step).target_codes == CODE_OF_THE_KNOWN).all(axis=(1, 2)) for step in range(60)])
    counts = rehearsed.sum(1)
    assert set(counts) == {2, 3} and 0.27 < rehearsed.mean() < 0.33
    np.testing.assert_array_equal(rehearsed, np.arange(8) < counts[:, None], err_msg="the first rows, and no others")
    np.testing.assert_array_equal(rehearsed[7], sampler.rehearsed(7))
    again = make_sampler(config, model, new, known, None)
    for one, other in zip(sampler(7), again(7), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_rehearsal_only_new_music_is_drawn(bundle, shards):
    model = LMConfig(**bundle.configs["lm"])
    new, known = datasets(shards)
    for config, rehearsal in ((quick(rehearsal_share=0.0), known), (quick(rehearsal_share=0.5), None)):
        crops = make_sampler(config, model, new, rehearsal, None)(0)
        assert not (crops.target_codes == CODE_OF_THE_KNOWN).all(axis=(1, 2)).any()
    assert new.pieces == 2 * PIECES


def test_style_dropout_and_variable_context_are_as_asked(bundle, shards):
    model = LMConfig(**bundle.configs["lm"])
    config = dataclasses.replace(quick(batch_size=8), style_dropout=1.0, hidden_past_probability=1.0)
    crops = make_sampler(config, model, load_dataset(sorted(shards.glob("*.npz"))), None, None)(3)
    assert (crops.style_codes == -1).all()
    hidden = (crops.context_codes == -1).all(axis=2).sum(axis=1)
    assert len(set(hidden.tolist())) > 2, "the past is cut at different frames"
    assert crops_of(quick(), model).target_frames == 20


def test_only_rehearsed_crops_lose_their_style_and_most_of_those_their_clock(bundle, shards):
    model = LMConfig(**bundle.configs["lm"])
    new, known = datasets(shards)
    config = dataclasses.replace(quick(batch_size=8, rehearsal_share=0.5), style_dropout=0.25)
    sampler = make_sampler(config, model, new, known, None)
    crops = [sampler(step) for step in range(80)]
    rehearsed = np.concatenate([(batch.target_codes == CODE_OF_THE_KNOWN).all(axis=(1, 2)) for batch in crops])
    masked = np.concatenate([is_masked(batch) for batch in crops])
    clockless = np.concatenate([(batch.target_clock == 0).all(axis=(1, 2)) for batch in crops])
    assert not masked[~rehearsed].any()
    assert 0.2 < masked.mean() < 0.3, "the share asked for, of all crops"
    assert clockless[masked].mean() > 0.65 > 0.35 > clockless[rehearsed & ~masked].mean()
