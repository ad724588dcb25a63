"""Drum kits. Each voice of a kit is one fixed sound, so that every hit of it is the same hit."""

import functools
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.signal import butter, sosfilt

from magenta_rt_py.train.studio import soundfont
from magenta_rt_py.train.studio.score import SAMPLE_RATE
from magenta_rt_py.train.studio.seeds import sound_generator


@dataclass(frozen=True, kw_only=True)
class Drum:
    """One synthesized voice: a falling tone plus band-passed noise. Times are decay constants in seconds."""

    gain: float = 1.0  # peak of the finished sound
    pan: float = 0.0  # -1 left .. 1 right
    seconds: float = 0.4  # length
    tone_hz: float = 0.0  # where the tone ends up; 0 for none
    drop_hz: float = 0.0  # how far above it starts
    drop: float = 0.03
    tone_decay: float = 0.1
    tone_shape: str = "sine"  # sine or square
    noise: float = 0.0  # noise gain against the tone
    noise_band_hz: tuple[float, float] = (1000.0, 12000.0)
    noise_decay: float = 0.1
    noise_hold: int = 1  # samples each noise value is held: the sound of old game consoles
    claps: int = 1  # bursts 11 ms apart at the front
    metal: float = 0.0  # gain of six inharmonic squares, for cymbals
    gate_seconds: float = 0.0  # cuts the sound off here; 0 for never
    drive: float = 0.0  # tanh saturation
    lowpass_hz: float = 0.0  # 0 for none


@dataclass(frozen=True, kw_only=True)
class GmDrum:
    """One voice from the sound font: a key of a drum kit, or a pitched program tuned to the piece's key."""

    pitch: int
    kit: int = 0  # drum kit number
    program: int | None = None  # General MIDI program instead of a kit; pitch is then the key C
    gain: float = 1.0
    pan: float = 0.0


METAL_HZ = (263.0, 400.0, 421.0, 474.0, 587.0, 845.0)

_909 = {
    "kick": Drum(
        seconds=0.4,
        tone_hz=50.0,
        drop_hz=190.0,
        drop=0.025,
        tone_decay=0.14,
        noise=0.15,
        noise_band_hz=(2000.0, 9000.0),
        noise_decay=0.004,
        drive=0.6,
    ),
    "snare": Drum(
        gain=0.7, seconds=0.35, tone_hz=185.0, drop_hz=60.0, drop=0.02, tone_decay=0.07, noise=1.0, noise_decay=0.1
    ),
    "clap": Drum(gain=0.6, pan=0.05, seconds=0.4, noise=1.0, noise_band_hz=(900.0, 5500.0), noise_decay=0.1, claps=3),
    "hat": Drum(gain=0.28, pan=0.25, seconds=0.12, noise=0.7, metal=0.5, noise_band_hz=(7500.0, 18000.0), noise_decay=0.025),
    "open": Drum(gain=0.32, pan=0.25, seconds=0.5, noise=0.7, metal=0.5, noise_band_hz=(7000.0, 18000.0), noise_decay=0.13),
    "ride": Drum(gain=0.22, pan=-0.3, seconds=0.7, noise=0.4, metal=0.8, noise_band_hz=(5000.0, 16000.0), noise_decay=0.2),
    "rim": Drum(gain=0.35, pan=-0.3, seconds=0.06, tone_hz=1700.0, tone_decay=0.01, noise=0.3, noise_decay=0.006),
    "tom": Drum(gain=0.6, pan=0.2, seconds=0.4, tone_hz=95.0, drop_hz=60.0, drop=0.05, tone_decay=0.13, noise=0.05),
    "shaker": Drum(gain=0.22, pan=0.4, seconds=0.08, noise=1.0, noise_band_hz=(5000.0, 12000.0), noise_decay=0.02),
    "conga": Drum(
        gain=0.4,
        pan=-0.35,
        seconds=0.25,
        tone_hz=310.0,
        drop_hz=60.0,
        drop=0.01,
        tone_decay=0.06,
        noise=0.1,
        noise_decay=0.008,
    ),
    "crash": Drum(gain=0.4, pan=-0.15, seconds=1.6, noise=1.0, metal=0.3, noise_band_hz=(3500.0, 18000.0), noise_decay=0.45),
}


def _gm_kit(kit: int, *, gain: float = 1.0) -> dict[str, Drum | GmDrum]:
    """The usual keys of a General MIDI kit, at levels that sit well together."""
    keys = {
        "kick": (36, 1.0, 0.0),
        "snare": (38, 0.8, 0.0),
        "clap": (39, 0.6, 0.0),
        "hat": (42, 0.3, 0.3),
        "open": (46, 0.35, 0.3),
        "ride": (51, 0.3, -0.35),
        "rim": (37, 0.5, -0.1),
        "tom": (45, 0.7, 0.2),
        "pedal": (44, 0.3, 0.3),
        "crash": (49, 0.45, -0.2),
        "shaker": (70, 0.3, 0.4),
        "conga": (63, 0.45, -0.35),
        "cowbell": (56, 0.3, 0.35),
        "tambourine": (54, 0.3, -0.4),
    }
    return {voice: GmDrum(kit=kit, pitch=pitch, gain=gain * level, pan=pan) for voice, (pitch, level, pan) in keys.items()}


KITS: dict[str, dict[str, Drum | GmDrum]] = {
    "techno": _909
    | {
        "kick": Drum(
            seconds=0.45,
            tone_hz=46.0,
            drop_hz=240.0,
            drop=0.022,
            tone_decay=0.17,
            noise=0.3,
            noise_band_hz=(1500.0, 8000.0),
            noise_decay=0.005,
            drive=2.5,
        ),
        "clap": Drum(gain=0.5, seconds=0.5, noise=1.0, noise_band_hz=(700.0, 3500.0), noise_decay=0.14, claps=3, drive=1.0),
        "hat": Drum(
            gain=0.3, pan=0.2, seconds=0.1, noise=0.4, metal=0.9, noise_band_hz=(6500.0, 16000.0), noise_decay=0.018
        ),
        "tom": Drum(gain=0.6, pan=-0.2, seconds=0.5, tone_hz=75.0, drop_hz=40.0, drop=0.05, tone_decay=0.15, drive=1.5),
    },
    "house": _909,
    "lofi": {
        "kick": Drum(
            gain=0.9,
            seconds=0.35,
            tone_hz=58.0,
            drop_hz=70.0,
            drop=0.02,
            tone_decay=0.11,
            noise=0.1,
            noise_band_hz=(400.0, 2500.0),
            noise_decay=0.01,
            lowpass_hz=2200.0,
            drive=0.8,
        ),
        "snare": Drum(
            gain=0.6,
            seconds=0.3,
            tone_hz=210.0,
            drop_hz=30.0,
            tone_decay=0.05,
            noise=1.2,
            noise_band_hz=(500.0, 4500.0),
            noise_decay=0.07,
            lowpass_hz=4200.0,
            drive=0.8,
        ),
        "hat": Drum(
            gain=0.34,
            pan=0.15,
            seconds=0.1,
            noise=1.0,
            metal=0.2,
            noise_band_hz=(3000.0, 7000.0),
            noise_decay=0.022,
            lowpass_hz=6000.0,
        ),
    },
    "break": {
        "kick": Drum(
            gain=0.95,
            seconds=0.3,
            tone_hz=62.0,
            drop_hz=110.0,
            drop=0.015,
            tone_decay=0.08,
            noise=0.4,
            noise_band_hz=(500.0, 6000.0),
            noise_decay=0.015,
            drive=1.2,
        ),
        "snare": Drum(
            gain=0.85,
            seconds=0.3,
            tone_hz=220.0,
            drop_hz=80.0,
            drop=0.01,
            tone_decay=0.05,
            noise=1.3,
            noise_band_hz=(900.0, 11000.0),
            noise_decay=0.075,
            drive=1.5,
        ),
        "hat": Drum(
            gain=0.25, pan=0.2, seconds=0.1, noise=1.0, metal=0.3, noise_band_hz=(5000.0, 14000.0), noise_decay=0.03
        ),
        "ride": Drum(
            gain=0.25, pan=-0.2, seconds=0.5, noise=0.4, metal=0.9, noise_band_hz=(4000.0, 13000.0), noise_decay=0.15
        ),
        "crash": _909["crash"],
    },
    "eighties": {
        "kick": Drum(
            seconds=0.3,
            tone_hz=55.0,
            drop_hz=150.0,
            drop=0.018,
            tone_decay=0.1,
            noise=0.4,
            noise_band_hz=(1500.0, 6000.0),
            noise_decay=0.008,
            drive=1.0,
        ),
        "snare": Drum(
            gain=0.85,
            seconds=0.34,
            tone_hz=170.0,
            drop_hz=50.0,
            tone_decay=0.12,
            noise=1.5,
            noise_band_hz=(500.0, 11000.0),
            noise_decay=0.5,
            gate_seconds=0.26,
            drive=1.0,
        ),
        "hat": _909["hat"],
        "crash": _909["crash"],
        "tom": Drum(
            gain=0.75,
            pan=-0.25,
            seconds=0.5,
            tone_hz=85.0,
            drop_hz=130.0,
            drop=0.12,
            tone_decay=0.2,
            noise=0.15,
            noise_band_hz=(500.0, 5000.0),
            noise_decay=0.1,
            gate_seconds=0.35,
        ),
    },
    "trap": {
        "kick": Drum(
            seconds=0.35,
            tone_hz=48.0,
            drop_hz=150.0,
            drop=0.02,
            tone_decay=0.12,
            noise=0.25,
            noise_band_hz=(1500.0, 9000.0),
            noise_decay=0.005,
            drive=2.0,
        ),
        "clap": Drum(
            gain=0.75,
            seconds=0.4,
            tone_hz=200.0,
            tone_decay=0.04,
            noise=1.5,
            noise_band_hz=(900.0, 9000.0),
            noise_decay=0.09,
            claps=2,
            drive=0.8,
        ),
        "hat": Drum(
            gain=0.55, pan=0.15, seconds=0.08, noise=0.8, metal=0.6, noise_band_hz=(8500.0, 19000.0), noise_decay=0.014
        ),
        "open": Drum(
            gain=0.32, pan=0.15, seconds=0.4, noise=0.8, metal=0.6, noise_band_hz=(8000.0, 19000.0), noise_decay=0.1
        ),
        "rim": Drum(gain=0.35, pan=-0.3, seconds=0.08, tone_hz=850.0, tone_decay=0.02, noise=0.2, noise_decay=0.006),
    },
    "chip": {
        "kick": Drum(gain=0.7, seconds=0.18, tone_hz=55.0, drop_hz=260.0, drop=0.03, tone_decay=0.08, tone_shape="square"),
        "snare": Drum(gain=0.45, seconds=0.15, noise=1.0, noise_band_hz=(300.0, 20000.0), noise_decay=0.05, noise_hold=5),
        "hat": Drum(gain=0.22, seconds=0.05, noise=1.0, noise_band_hz=(4000.0, 20000.0), noise_decay=0.015, noise_hold=2),
    },
    "rock": _gm_kit(16) | {"hat": GmDrum(kit=8, pitch=42, gain=0.55, pan=0.3), "crash": GmDrum(kit=16, pitch=49, gain=0.6)},
    "disco": _gm_kit(8) | {"open": GmDrum(kit=8, pitch=46, gain=0.45, pan=0.25)},
    "room": _gm_kit(0) | {"ride": GmDrum(kit=8, pitch=51, gain=0.3), "crash": GmDrum(kit=8, pitch=49, gain=0.45)},
    "jazz": _gm_kit(32, gain=0.8) | {"ride": GmDrum(kit=32, pitch=51, gain=0.5, pan=-0.3)},
    "brush": _gm_kit(40, gain=0.8),
    "orchestra": {
        "kick": GmDrum(kit=48, pitch=36, gain=1.0),
        "crash": GmDrum(kit=48, pitch=59, gain=0.5),
        "snare": GmDrum(kit=48, pitch=38, gain=0.35, pan=0.2),
        "timpani": GmDrum(program=47, pitch=36, gain=0.9, pan=-0.2),
        "taiko": GmDrum(program=116, pitch=48, gain=0.7, pan=0.15),
    },
}


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
