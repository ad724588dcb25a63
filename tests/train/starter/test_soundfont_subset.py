"""A smaller sound font plays the presets that were kept exactly as the whole one does."""

import numpy as np
import pytest

from magenta_rt_py.train.starter.carry import presets_played
from magenta_rt_py.train.starter.soundfont_subset import SoundFontFormatError, subset
from magenta_rt_py.train.studio import soundfont

KEPT = {(0, 73), (0, 46), (128, 40)}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("font") / "small.sf3"
    subset(soundfont.soundfont_path(), path, KEPT)
    return path


def notes():
    return [soundfont.play(73, 72, 9600), soundfont.play(46, 50, 9600), soundfont.play(40, 38, 4800, drum_kit=True)]


def test_kept_presets_sound_the_same(small, monkeypatch):
    whole = notes()
    monkeypatch.setenv(soundfont.SOUNDFONT_VARIABLE, str(small))
    for cache in (soundfont._open_synth, soundfont._onset):
        cache.cache_clear()
    try:
        assert small.stat().st_size < 0.1 * 39_978_561
        for one, other in zip(whole, notes(), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-3)  # samples lie elsewhere: positions are rounded anew
    finally:
        for cache in (soundfont._open_synth, soundfont._onset):
            cache.cache_clear()


def test_what_is_no_sound_font_or_lacks_a_preset_is_refused(tmp_path):
    other = tmp_path / "other.sf3"
    other.write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(SoundFontFormatError, match="no sound font"):
        subset(other, tmp_path / "out.sf3", KEPT)
    with pytest.raises(SoundFontFormatError, match="preset 99 in bank 77"):
        subset(soundfont.soundfont_path(), tmp_path / "out.sf3", {(77, 99)})


def test_everything_that_the_studio_plays_is_among_the_presets():
    played = presets_played()
    assert {(0, 0), (128, 40)} <= played and all(0 <= program < 128 for _, program in played)
