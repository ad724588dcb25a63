"""General MIDI notes: the same whatever was played before, on time, and a clear word when something is missing."""

import builtins

import numpy as np
import pytest

from magenta_rt_py.errors import MrtError
from magenta_rt_py.train.studio import soundfont


def test_a_note_does_not_depend_on_what_was_played_before():
    first = soundfont.play(48, 60, 9600)
    soundfont.play(30, 45, 4800)
    soundfont.play(16, 49, 24000, drum_kit=True)
    np.testing.assert_array_equal(soundfont.play(48, 60, 9600), first)


@pytest.mark.parametrize("program", [0, 30, 48, 73])
def test_notes_start_at_their_attack_and_are_equally_strong(program):
    sound = soundfont.play(program, 64, 24000)
    envelope = np.abs(sound).max(axis=0)
    assert int(np.argmax(envelope > 0.1 * envelope.max())) < 480  # within 10 ms
    power = (sound[:, : sound.shape[1] // 2400 * 2400].reshape(2, -1, 2400) ** 2).mean(axis=(0, 2))
    assert np.sqrt(power.max()) == pytest.approx(soundfont.NOMINAL_RMS, rel=1e-3)
    assert np.abs(sound[:, -1]).max() < 1e-4


def test_pitches_beyond_the_keyboard_move_by_octaves():
    np.testing.assert_array_equal(soundfont.play(0, 130, 4800), soundfont.play(0, 118, 4800))


def test_a_missing_sound_font_names_the_package(monkeypatch):
    monkeypatch.setenv(soundfont.SOUNDFONT_VARIABLE, "nowhere.sf3")
    with pytest.raises(soundfont.SoundFontMissingError, match=r"nowhere\.sf3.*musescore-general-soundfont-small"):
        soundfont.soundfont_path()
    assert issubclass(soundfont.SoundFontMissingError, MrtError)


def test_an_own_sound_font_wins(monkeypatch, tmp_path):
    own = tmp_path / "own.sf2"
    own.write_bytes(b"")
    monkeypatch.setenv(soundfont.SOUNDFONT_VARIABLE, str(own))
    assert soundfont.soundfont_path() == own


def test_a_missing_player_names_the_pip_line(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest, **named):
        if name == "tinysoundfont":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(soundfont.SoundFontMissingError, match="pip install --no-deps tinysoundfont"):
        soundfont._open_synth.__wrapped__()
