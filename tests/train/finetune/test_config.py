"""Configurations: what is refused, and that the released way is the released way."""

import dataclasses

import pytest

from magenta_rt_py.lm.config import large, starter, tiny
from magenta_rt_py.train.finetune.config import FinetuneConfig, default_for, released
from magenta_rt_py.train.finetune.presets import SIZES, from_nothing, size, training


def test_the_released_schedule_goes_on_from_the_checkpoints_step():
    schedule = released().make_schedule()
    assert schedule(0, 0.0) == pytest.approx(0.5 / 1_860_000**0.5)
    assert schedule(0, 0.0) == pytest.approx(3.67e-4, rel=1e-2)
    fresh = dataclasses.replace(released(), step_offset=0).make_schedule()
    assert fresh(0, 0.0) == 0.0
    assert fresh(500, 0.0) == pytest.approx(0.5 * 0.5 / 1000**0.5)
    assert fresh(4000, 0.0) == pytest.approx(0.5 / 4000**0.5)


def test_from_nothing_the_rate_peaks_at_the_papers_and_falls_like_it():
    schedule = from_nothing("large").make_schedule()
    assert [schedule(step, 0.0) for step in (0, 5_000, 10_000, 40_000)] == pytest.approx([0.0, 0.005, 0.01, 0.005])


def test_the_way_fits_the_model():
    assert default_for(starter()).history is not None and default_for(starter()).optimizer == "muon"
    assert default_for(large()).optimizer == "adafactor" and default_for(large()).batch_size == 8
    assert default_for(large(), "lora").is_lora


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "half"}, "expected one of full, lora"),
        ({"optimizer": "sgd"}, "expected muon, adamw or adafactor"),
        ({"accumulate": 3}, "expected a divisor of the batch size 8"),
        ({"rehearsal_share": 1.0}, "less than 1"),
        ({"steps": 0}, "expected 1 or more"),
        ({"learning_rate": 0.0}, "above 0"),
    ],
)
def test_nonsense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        FinetuneConfig(**fields)


def test_a_batch_is_split_evenly_or_refused():
    config = FinetuneConfig(batch_size=8, accumulate=2)
    assert config.crops_of_a_microbatch({"data": 2, "fsdp": 1, "tensor": 4}) == 2
    with pytest.raises(ValueError, match="8 crops for 8 data shards and 2 microbatches, expected a multiple of 16"):
        config.crops_of_a_microbatch({"data": 2, "fsdp": 4, "tensor": 1})


def test_the_computed_model_has_the_same_parameters():
    model = released().training_model(tiny())
    assert model.rematerialise and model.activation_dtype == "bfloat16"
    assert dataclasses.replace(model, rematerialise=False, activation_dtype="float32") == tiny()


def test_every_preset_has_sizes_and_a_run():
    for name in SIZES:
        assert training(name).steps and from_nothing(name).rehearsal_share == 0
        assert size(name).dim > 0
    with pytest.raises(ValueError, match="got preset 'huge'"):
        size("huge")
