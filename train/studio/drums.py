"""Plays drums. Each voice of a kit is one fixed sound, so that every hit of it is the same hit."""

import functools
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.signal import butter, sosfilt

from magenta_rt_py.train.studio import soundfont
from magenta_rt_py.train.studio.drum_kits import FIRST_KITS
from magenta_rt_py.train.studio.drum_voices import Drum, GmDrum, Voice
from magenta_rt_py.train.studio.more_drum_kits import MORE_KITS
from magenta_rt_py.train.studio.score import SAMPLE_RATE
from magenta_rt_py.train.studio.seeds import sound_generator

KITS: dict[str, dict[str, Voice]] = FIRST_KITS | MORE_KITS

METAL_HZ = (263.0, 400.0, 421.0, 474.0, 587.0, 845.0)


@functools.lru_cache(maxsize=512)
def sound(kit: str, voice: str, key: int) -> Float[np.ndarray, "2 samples"]:
    """A kit's voice at full velocity.

    Args:
      kit: a key of KITS.
      voice: a key of that kit.
      key: pitch class of the piece, 0..11, to which pitched drums are tuned; the others ignore it.
    """
    drum = KITS[kit][voice]
    if isinstance(drum, GmDrum):
        if drum.program is None:
            stereo = soundfont.play(drum.kit, drum.pitch, SAMPLE_RATE // 2, velocity=112, drum_kit=True)
        else:
            stereo = soundfont.play(drum.program, drum.pitch + key, SAMPLE_RATE // 2)
        mono = (stereo[0] + stereo[1]) / 2
    else:
        mono = _synthesize(replace(drum, pan=0.0), kit, voice)
    mono = mono * np.float32(drum.gain / max(float(np.abs(mono).max()), 1e-9))
    return np.stack([mono * min(1.0, 1 - drum.pan), mono * min(1.0, 1 + drum.pan)]).astype(np.float32)


def _synthesize(drum: Drum, kit: str, voice: str) -> np.ndarray:
    samples = int(drum.seconds * SAMPLE_RATE)
    time = np.arange(samples) / SAMPLE_RATE
    mono = np.zeros(samples)
    if drum.tone_hz:
        cycles = np.cumsum(drum.tone_hz + drum.drop_hz * np.exp(-time / drum.drop)) / SAMPLE_RATE
        tone = np.sin(2 * np.pi * cycles)
        mono += (np.sign(tone) if drum.tone_shape == "square" else tone) * np.exp(-time / drum.tone_decay)
    if drum.noise or drum.metal:
        mono += _noise(drum, time, sound_generator(kit, voice))
    if drum.gate_seconds:
        mono *= np.clip((drum.gate_seconds - time) / 0.01, 0, 1)
    if drum.drive:
        mono = np.tanh((1 + drum.drive) * mono)
    if drum.lowpass_hz:
        mono = sosfilt(butter(2, drum.lowpass_hz, fs=SAMPLE_RATE, output="sos"), mono)
    fade = min(samples, SAMPLE_RATE // 100)
    mono[-fade:] *= np.linspace(1, 0, fade)
    return mono.astype(np.float32)


def _noise(drum: Drum, time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = drum.noise * rng.standard_normal(len(time))
    if drum.noise_hold > 1:
        noise = np.repeat(noise[:: drum.noise_hold], drum.noise_hold)[: len(time)]
    for frequency in METAL_HZ:
        noise += drum.metal / 3 * np.sign(np.sin(2 * np.pi * frequency * time))
    band = sosfilt(butter(2, drum.noise_band_hz, "bandpass", fs=SAMPLE_RATE, output="sos"), noise)
    envelope = np.exp(-time / drum.noise_decay)
    for burst in range(drum.claps - 1):
        since = time - 0.011 * burst
        envelope = np.where((since >= 0) & (since < 0.011), np.exp(-since / 0.005), envelope)
    return band * envelope
