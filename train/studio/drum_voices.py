"""What a drum is: a synthesized voice or one of the sound font's, and the voices that several kits share."""

from dataclasses import dataclass


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


Voice = Drum | GmDrum

TR909: dict[str, Voice] = {
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


def gm_kit(kit: int, *, gain: float = 1.0) -> dict[str, Voice]:
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
