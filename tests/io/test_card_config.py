"""What cannot be is refused before anything is opened."""

import pytest

from magenta_rt_py.io.card_config import CardConfig


def test_it_travels_as_text():
    config = CardConfig(output="a ü", input=3, output_channels=(3, 4), cue=(7,), latency=0.02, sample_rate=44_100)
    assert CardConfig.from_json(config.to_json()) == config
    assert CardConfig.from_json(CardConfig().to_json()) == CardConfig()


def test_cue_channels():
    assert CardConfig().cue_channels == () and not CardConfig().has_input
    assert CardConfig(cue=True).cue_channels == (3, 4)
    assert CardConfig(cue=True, output_channels=(5, 2)).cue_channels == (6, 7)
    assert CardConfig(cue=(1,), output_channels=(2,), input=None).has_input


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"output_channels": (0, 1)}, "output_channels is .0, 1.; give one or two"),
        ({"output_channels": (1, 2, 3)}, "one or two"),
        ({"output_channels": ()}, "one or two"),
        ({"input_channels": (2, 2)}, "different"),
        ({"cue": (2, 3)}, "overlap"),
        ({"cue": (-1,)}, "one or more"),
        ({"output": ""}, "default"),
        ({"sample_rate": 10}, "8000 to 384000"),
        ({"block_samples": 16}, "32 to 8192"),
        ({"buffer_samples": 1000}, "1024 to 480000"),
        ({"latency": "medium"}, "'low', 'high'"),
        ({"latency": float("nan")}, "seconds"),
        ({"opening_seconds": 0.0}, "1 to 120"),
        ({"retry_seconds": float("inf")}, "0.1 to 60"),
    ],
)
def test_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        CardConfig(**wrong)
