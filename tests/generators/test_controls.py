"""Controls refuse what no player can mean, and are never changed in place."""

import dataclasses
import math

import pytest

from magenta_rt_py.generators.controls import Controls


@pytest.mark.parametrize(
    "knobs",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": 4.1},
        {"guidance_weight": math.inf},
        {"guidance_weight": -1.0},
        {"top_k": -1},
        {"top_k": 1025},
        {"bpm": 0.0},
        {"bpm": math.nan},
        {"bpm": 1000.0},
        {"adapter_strength": -0.1},
        {"adapter_strength": 2.1},
        {"adapter_strength": math.nan},
    ],
)
def test_refuses_values_out_of_range(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        Controls(**knobs)
    with pytest.raises(ValueError, match=next(iter(knobs))):
        Controls().replace(**knobs)


def test_replace_turns_only_what_is_given():
    controls = Controls(temperature=0.5, top_k=10, guidance_weight=2.0, bpm=100.0, adapter_strength=0.5)
    assert controls.replace() == controls
    assert controls.replace(adapter_strength=0.0) == dataclasses.replace(controls, adapter_strength=0.0)
    assert controls.replace(guidance_weight=0.0) == dataclasses.replace(controls, guidance_weight=0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        controls.bpm = 90.0  # pyright: ignore
