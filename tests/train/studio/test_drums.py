"""Drum voices: fixed sounds at fixed levels, each kit its own."""

import numpy as np
import pytest

from magenta_rt_py.train.studio import drums
from magenta_rt_py.train.studio.drum_voices import Drum
from magenta_rt_py.train.studio.drums import KITS
from magenta_rt_py.train.studio.score import SAMPLE_RATE

SYNTHETIC = [(kit, voice) for kit, voices in KITS.items() for voice, drum in voices.items() if isinstance(drum, Drum)]


@pytest.mark.parametrize(("kit", "voice"), SYNTHETIC)
def test_a_voice_hits_at_once_at_its_gain_and_ends(kit, voice):
    sound = drums.sound(kit, voice, 0)
    drum = KITS[kit][voice]
    assert np.abs(sound).max() == pytest.approx(drum.gain, rel=1e-3)
    envelope = np.abs(sound).max(axis=0)
    assert int(np.argmax(envelope > 0.2 * envelope.max())) < SAMPLE_RATE // 100
    assert envelope[-1] < 1e-3


def test_a_voice_is_the_same_sound_every_time():
    first = drums.sound("break", "snare", 0)
    drums.sound.cache_clear()
    np.testing.assert_array_equal(drums.sound("break", "snare", 0), first)


def test_kits_differ():
    kits = ("techno", "house", "lofi", "break", "trap", "chip", "dubstep", "dub techno", "electro", "garage", "hardstyle",
            "psy", "phonk", "trip hop", "r&b", "pop", "dembow", "metal", "palmas")  # fmt: skip
    kicks = [drums.sound(kit, "kick", 0)[0, :4800] for kit in kits]
    for index, kick in enumerate(kicks):
        for other in kicks[index + 1 :]:
            assert np.abs(kick - other).max() > 0.1


def test_pan_moves_a_voice():
    left, right = drums.sound("house", "hat", 0)
    assert np.abs(right).max() > np.abs(left).max()


def test_timpani_are_tuned_to_the_key():
    low, high = (np.abs(np.fft.rfft(drums.sound("orchestra", "timpani", key)[0, :24000])) for key in (0, 5))
    assert high[:200].argmax() / low[:200].argmax() == pytest.approx(2 ** (5 / 12), rel=0.06)
