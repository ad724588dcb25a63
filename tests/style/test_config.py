import dataclasses
import math

import pytest

from magenta_rt_py.style import config as presets
from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.style.embedder import tensor_shapes


def test_released_geometry_is_the_papers():
    config = presets.released()
    assert config.clip_seconds == 10.0
    assert config.patch_grid == (62, 8)
    assert config.num_patches == 496
    shapes = tensor_shapes(config)
    for tower in ("audio", "text"):
        assert len({name.split("/")[1] for name in shapes if name.startswith(f"{tower}/layers_")}) == 12
    assert shapes["audio/positions"] == (496, 768)
    assert shapes["text/positions"] == (128, 768)
    assert shapes["quantizer/code_vectors"] == (12, 1024, 768)


def test_starter_fits_its_share_of_the_bundle():
    numbers = sum(math.prod(shape) for shape in tensor_shapes(presets.starter()).values())
    assert 3_500_000 < numbers <= 4_500_000


def test_config_survives_a_bundle():
    config = presets.starter()
    assert StyleConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="unknown style config fields \\['widht'\\]"):
        StyleConfig.from_dict({"widht": 3})


@pytest.mark.parametrize(("field", "value"), [("stft_frames", 47), ("mel_bands", 15), ("audio_heads", 5), ("text_heads", 3)])
def test_remainders_are_refused(field, value):
    with pytest.raises(ValueError, match="not divisible"):
        dataclasses.replace(presets.tiny(), **{field: value})


def test_more_frames_than_a_clip_has_are_refused():
    with pytest.raises(ValueError, match="has only 49"):
        dataclasses.replace(presets.tiny(), stft_frames=64)
