"""General MIDI voices from a sound font, one note at a time, through tinysoundfont."""

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py.errors import MrtError
from magenta_rt_py.train.studio.score import SAMPLE_RATE

SOUNDFONT_VARIABLE = "MAGENTA_RT_PY_SOUNDFONT"  # a path here wins over DEFAULT_PATHS
DEFAULT_PATHS = ("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3",)
DRUM_BANK = 128
DRUM_CHANNEL = 9
LONGEST_TAIL_SECONDS = 1.5  # after the key is up
BLOCK_SAMPLES = 4800
ONSET_LEVEL = 0.12  # the note starts where it first reaches this share of its peak
LONGEST_TRIM_SAMPLES = SAMPLE_RATE // 5  # but at most this much is cut from its front
PROBE_SAMPLES = SAMPLE_RATE // 2  # held this long to find where the attack is
FADE_SAMPLES = 48  # 1 ms, where the front is cut
QUIET = 0.002  # the tail ends below this share of the peak
NOMINAL_RMS = 0.18  # of a note's loudest 50 ms, after levelling


class SoundFontMissingError(MrtError):
    """The sound font, or the package that plays it, is not installed."""


def soundfont_path() -> Path:
    """Finds the sound font.

    Raises:
      SoundFontMissingError: naming what to install.
    """
    chosen = os.environ.get(SOUNDFONT_VARIABLE)
    for path in [chosen] if chosen else DEFAULT_PATHS:
        if Path(path).is_file():
            return Path(path)
    where = f"{SOUNDFONT_VARIABLE}={chosen}" if chosen else ", ".join(DEFAULT_PATHS)
    raise SoundFontMissingError(
        f"no sound font at {where}; install the Debian package musescore-general-soundfont-small"
        f" or set {SOUNDFONT_VARIABLE} to a General MIDI .sf2 or .sf3 file"
    )


@functools.cache
def _open_synth() -> tuple[Any, int]:
    try:
        import tinysoundfont
    except ImportError as error:
        raise SoundFontMissingError(
            "the package tinysoundfont is missing; run `pip install --no-deps tinysoundfont`"
        ) from error
    path = soundfont_path()
    synth = tinysoundfont.Synth(gain=0, samplerate=SAMPLE_RATE)
    return synth, synth.sfload(str(path))


def _generate(synth: Any, samples: int) -> np.ndarray:
    return np.frombuffer(synth.generate(samples), np.float32).reshape(-1, 2)


def play(
    program: int,
    pitch: int,
    gate_samples: int,
    *,
    velocity: int = 112,
    drum_kit: bool = False,
) -> Float[np.ndarray, "2 samples"]:
    """Plays one note in stereo, starting at its attack, levelled so that all instruments are about equally strong.

    Args:
      program: General MIDI program, or the kit's number if `drum_kit`.
      pitch: MIDI number, 0..127; outside is moved by octaves into range.
      gate_samples: how long the key is held.
      velocity: MIDI velocity, 1..127.
    Raises:
      SoundFontMissingError: if there is nothing to play it with.
    """
    while not 0 <= pitch <= 127:
        pitch += 12 if pitch < 0 else -12
    onset = _onset(program, pitch, velocity, drum_kit)
    sound = _record(program, pitch, velocity, drum_kit, onset + gate_samples)[:, onset:].copy()
    rise, fall = min(FADE_SAMPLES, sound.shape[1]), min(10 * FADE_SAMPLES, sound.shape[1])
    if onset:
        sound[:, :rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    sound[:, -fall:] *= np.linspace(1, 0, fall, dtype=np.float32)
    return _level(sound)


def _record(program: int, pitch: int, velocity: int, drum_kit: bool, held_samples: int) -> np.ndarray:
    """One note as the sound font has it, until its tail has died away."""
    synth, font = _open_synth()
    channel = DRUM_CHANNEL if drum_kit else 0
    synth.program_select(channel, font, DRUM_BANK if drum_kit else 0, program, drum_kit)
    synth.noteon(channel, pitch, velocity)
    blocks = [_generate(synth, held_samples)]
    synth.noteoff(channel, pitch)
    loudest = max(float(np.abs(blocks[0]).max()), 1e-9)
    for _ in range(int(LONGEST_TAIL_SECONDS * SAMPLE_RATE) // BLOCK_SAMPLES):
        blocks.append(_generate(synth, BLOCK_SAMPLES))
        if np.abs(blocks[-1]).max() < QUIET * loudest:
            break
    synth.sounds_off(channel)
    while np.abs(_generate(synth, BLOCK_SAMPLES)).max() > 0:  # all voices end before the next note is asked for
        pass
    return np.ascontiguousarray(np.concatenate(blocks).T)


@functools.cache
def _onset(program: int, pitch: int, velocity: int, drum_kit: bool) -> int:
    """Samples to cut from the front so that a note is heard on its beat: slow strings would come in late."""
    sound = _record(program, pitch, velocity, drum_kit, PROBE_SAMPLES)[:, :PROBE_SAMPLES]
    envelope = np.abs(sound[0]) + np.abs(sound[1])
    onset = int(np.argmax(envelope > ONSET_LEVEL * envelope.max())) - FADE_SAMPLES
    return max(0, min(onset, LONGEST_TRIM_SAMPLES))


def _level(sound: np.ndarray) -> np.ndarray:
    """Scales the loudest 50 ms to NOMINAL_RMS; fonts differ between instruments by 40 dB."""
    window = SAMPLE_RATE // 20
    usable = sound.shape[1] // window * window
    if not usable:
        return sound
    windows = sound[:, :usable].reshape(2, -1, window)
    power = np.einsum("cwn,cwn->w", windows, windows).max() / (2 * window)
    return sound * np.float32(NOMINAL_RMS / np.sqrt(power + 1e-12))
