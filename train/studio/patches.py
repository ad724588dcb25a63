"""The sounds of the studio's synthesizer."""

from dataclasses import dataclass, field

from magenta_rt_py.train.studio.score import FRAMES_PER_MINUTE

WOBBLE_HZ = 2 * FRAMES_PER_MINUTE / 11 / 60  # two swings a beat at 11 codec frames a beat


@dataclass(frozen=True, kw_only=True)
class Oscillator:
    """One wave of a patch."""

    shape: str = "saw"  # saw, square, pulse, triangle or sine
    semitones: float = 0.0  # tuning against the note
    gain: float = 1.0
    pan: float = 0.0  # -1 left .. 1 right
    phase: float = 0.0  # 0..1


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A sound. Times in seconds; brightness in table rows, 0..7."""

    oscillators: tuple[Oscillator, ...] = ()
    attack: float = 0.003
    decay: float = 0.2  # time constant towards `sustain`
    sustain: float = 0.8  # level while held, 0..1
    release: float = 0.06  # time constant after the key is up
    row: float = 3.0  # filter
    row_per_brightness: float = 3.0  # added at card brightness 1
    sweep: float = 0.0  # rows added at the onset
    sweep_seconds: float = 0.1  # time constant of the sweep
    drive: float = 0.0  # tanh saturation, 0 none
    fm_ratio: float = 0.0  # modulator frequency / carrier frequency; 0 means wavetables only
    fm_index: float = 0.0
    fm_decay: float = 0.5  # time constant of the index
    glide: float = 0.0  # semitones above the note at the onset (negative: below), gone after 50 ms
    wobble: float = 0.0  # rows by which the filter swings up and down
    wobble_hz: float = 1.0  # how fast; it starts closed at the onset
    vibrato: float = 0.0  # semitones by which the pitch swings at 5.5 Hz, once the note has settled
    detuned: float = field(default=0.0)  # right FM carrier's detuning, semitones


def _unison(detunings: tuple[float, ...], shape: str = "saw") -> tuple[Oscillator, ...]:
    """Oscillators spread over the stereo field."""
    last = len(detunings) - 1
    return tuple(
        Oscillator(
            shape=shape,
            semitones=detuning,
            gain=1.2 / len(detunings),
            pan=0.8 * (2 * index / last - 1),
            phase=(0.37 * index) % 1,
        )
        for index, detuning in enumerate(detunings)
    )


PATCHES: dict[str, Patch] = {
    "supersaw": Patch(
        oscillators=_unison((-0.16, -0.07, 0.0, 0.09, 0.17)),
        attack=0.015,
        sustain=0.9,
        release=0.2,
        row=3.6,
        row_per_brightness=2.4,
    ),
    "warm pad": Patch(
        oscillators=(*_unison((-0.07, 0.06)), Oscillator(shape="triangle", semitones=-12.0, gain=0.4)),
        attack=0.12,
        sustain=0.95,
        release=0.4,
        row=1.8,
        row_per_brightness=2.2,
    ),
    "dark pad": Patch(
        oscillators=_unison((-0.1, 0.0, 0.08)), attack=0.06, sustain=0.9, release=0.3, row=1.2, row_per_brightness=2.0
    ),
    "glass pad": Patch(
        attack=0.08, decay=2.0, sustain=0.8, release=0.6, fm_ratio=3.0, fm_index=0.55, fm_decay=2.0, detuned=0.05
    ),
    "stab": Patch(
        oscillators=_unison((-0.12, 0.0, 0.11)),
        decay=0.12,
        sustain=0.25,
        release=0.08,
        row=2.0,
        sweep=1.6,
        sweep_seconds=0.07,
    ),
    "pluck": Patch(
        oscillators=(
            Oscillator(semitones=-0.04, pan=-0.4),
            Oscillator(semitones=0.05, pan=0.4, phase=0.4),
            Oscillator(shape="square", semitones=12.0, gain=0.3),
        ),
        decay=0.15,
        sustain=0.0,
        release=0.1,
        row=2.2,
        sweep=2.2,
        sweep_seconds=0.06,
    ),
    "arp synth": Patch(
        oscillators=(Oscillator(shape="pulse", pan=-0.3), Oscillator(shape="saw", semitones=0.07, gain=0.5, pan=0.3)),
        decay=0.12,
        sustain=0.3,
        release=0.06,
        row=2.6,
        sweep=1.4,
        sweep_seconds=0.08,
    ),
    "saw bass": Patch(
        oscillators=(Oscillator(), Oscillator(shape="square", semitones=-12.0, gain=0.5)),
        decay=0.15,
        sustain=0.6,
        release=0.03,
        row=1.6,
        row_per_brightness=2.0,
        sweep=1.6,
        sweep_seconds=0.1,
    ),
    "house bass": Patch(
        oscillators=(Oscillator(shape="square"), Oscillator(shape="sine", semitones=-12.0, gain=0.8)),
        decay=0.14,
        sustain=0.35,
        release=0.03,
        row=1.2,
        row_per_brightness=1.2,
        sweep=1.6,
        sweep_seconds=0.05,
    ),
    "rumble bass": Patch(
        oscillators=(Oscillator(shape="sine"), Oscillator(shape="saw", gain=0.35)),
        decay=0.12,
        sustain=0.7,
        release=0.04,
        row=0.5,
        row_per_brightness=1.0,
        drive=1.5,
    ),
    "acid bass": Patch(
        oscillators=(Oscillator(),),
        decay=0.15,
        sustain=0.5,
        release=0.02,
        row=1.2,
        row_per_brightness=1.5,
        sweep=2.8,
        sweep_seconds=0.09,
        drive=2.0,
    ),
    "sub bass": Patch(oscillators=(Oscillator(shape="sine"),), attack=0.006, sustain=0.9, release=0.05, drive=0.8, row=7.0),
    "808": Patch(
        oscillators=(Oscillator(shape="sine"),), decay=0.7, sustain=0.15, release=0.12, drive=2.2, row=7.0, glide=5.0
    ),
    "reese": Patch(
        oscillators=(
            Oscillator(semitones=-0.13, pan=-0.5),
            Oscillator(semitones=0.12, pan=0.5, phase=0.5),
            Oscillator(shape="sine", semitones=-12.0, gain=0.9),
        ),
        attack=0.008,
        sustain=0.95,
        release=0.06,
        row=2.2,
        row_per_brightness=1.8,
        drive=1.0,
    ),
    "saw lead": Patch(oscillators=_unison((-0.08, 0.0, 0.09)), attack=0.008, sustain=0.8, release=0.12, row=3.6),
    "square lead": Patch(
        oscillators=(Oscillator(shape="square"), Oscillator(shape="square", semitones=0.06, gain=0.5)),
        attack=0.006,
        sustain=0.75,
        release=0.1,
        row=3.2,
    ),
    "bell": Patch(decay=0.6, sustain=0.0, release=0.5, fm_ratio=3.5, fm_index=1.6, fm_decay=0.3),
    "chip pulse": Patch(
        oscillators=(Oscillator(shape="pulse"),), attack=0.001, decay=0.2, sustain=0.7, release=0.01, row=7.0
    ),
    "chip arp": Patch(
        oscillators=(Oscillator(shape="square"),), attack=0.001, decay=0.1, sustain=0.6, release=0.01, row=7.0
    ),
    "chip bass": Patch(
        oscillators=(Oscillator(shape="triangle"),), attack=0.001, decay=0.3, sustain=0.8, release=0.01, row=7.0
    ),
    "dub chord": Patch(
        oscillators=_unison((-0.1, 0.0, 0.09)),
        attack=0.004,
        decay=0.25,
        sustain=0.1,
        release=0.35,
        row=1.2,
        row_per_brightness=1.6,
        sweep=1.8,
        sweep_seconds=0.14,
    ),
    "blip": Patch(
        oscillators=(Oscillator(shape="square"), Oscillator(shape="pulse", semitones=12.0, gain=0.3)),
        attack=0.001,
        decay=0.05,
        sustain=0.0,
        release=0.03,
        row=3.4,
        row_per_brightness=2.0,
    ),
    "acid lead": Patch(
        oscillators=(Oscillator(), Oscillator(shape="square", semitones=0.05, gain=0.5)),
        decay=0.12,
        sustain=0.35,
        release=0.03,
        row=1.6,
        row_per_brightness=1.8,
        sweep=3.6,
        sweep_seconds=0.07,
        drive=2.5,
    ),
    "sine lead": Patch(
        oscillators=(Oscillator(shape="sine"), Oscillator(shape="triangle", semitones=12.0, gain=0.12)),
        attack=0.03,
        sustain=0.85,
        release=0.12,
        row=7.0,
        glide=-2.0,
        vibrato=0.22,
    ),
    "screech lead": Patch(
        oscillators=(Oscillator(semitones=-0.2, pan=-0.4), Oscillator(semitones=0.2, pan=0.4, phase=0.3)),
        attack=0.004,
        sustain=0.9,
        release=0.06,
        row=4.6,
        row_per_brightness=2.0,
        wobble=1.0,
        wobble_hz=12.5,
        drive=4.0,
        glide=3.0,
    ),
    "synth brass": Patch(
        oscillators=_unison((-0.09, 0.0, 0.1)),
        attack=0.04,
        decay=0.3,
        sustain=0.7,
        release=0.08,
        row=3.0,
        row_per_brightness=2.0,
        sweep=-1.6,
        sweep_seconds=0.05,
    ),
    "pedal steel": Patch(
        oscillators=(Oscillator(shape="saw", gain=0.7), Oscillator(shape="triangle", gain=0.6, semitones=0.03)),
        attack=0.02,
        decay=0.9,
        sustain=0.35,
        release=0.15,
        row=2.6,
        row_per_brightness=1.6,
        glide=-2.0,
        vibrato=0.18,
    ),
    "cowbell synth": Patch(
        oscillators=(Oscillator(shape="square", gain=0.7), Oscillator(shape="square", semitones=6.8, gain=0.6)),
        attack=0.001,
        decay=0.09,
        sustain=0.0,
        release=0.06,
        row=5.0,
        row_per_brightness=1.5,
        drive=0.8,
    ),
    "organ bass": Patch(
        oscillators=(
            Oscillator(shape="sine"),
            Oscillator(shape="sine", semitones=12.0, gain=0.5),
            Oscillator(shape="sine", semitones=19.02, gain=0.3),
        ),
        attack=0.002,
        decay=0.2,
        sustain=0.5,
        release=0.03,
        row=7.0,
        drive=0.6,
    ),
    "psy bass": Patch(
        oscillators=(Oscillator(),),
        attack=0.001,
        decay=0.07,
        sustain=0.15,
        release=0.015,
        row=1.4,
        row_per_brightness=1.0,
        sweep=3.2,
        sweep_seconds=0.02,
        drive=1.2,
    ),
    "reverse bass": Patch(
        oscillators=(Oscillator(shape="saw"), Oscillator(shape="sine", gain=0.9)),
        attack=0.05,
        decay=0.4,
        sustain=0.8,
        release=0.02,
        row=2.4,
        row_per_brightness=1.0,
        drive=3.5,
    ),
    "wobble bass": Patch(
        oscillators=(
            Oscillator(semitones=-0.08, pan=-0.3),
            Oscillator(shape="square", semitones=0.08, pan=0.3),
            Oscillator(shape="sine", semitones=-12.0, gain=0.8),
        ),
        attack=0.004,
        sustain=0.95,
        release=0.05,
        row=2.6,
        row_per_brightness=1.6,
        wobble=1.9,
        wobble_hz=WOBBLE_HZ,
        drive=2.0,
    ),
    "growl bass": Patch(
        attack=0.004,
        sustain=0.95,
        release=0.05,
        oscillators=(Oscillator(shape="pulse", semitones=-0.1, gain=0.8), Oscillator(semitones=0.1, gain=0.8)),
        row=3.4,
        row_per_brightness=1.4,
        wobble=1.6,
        wobble_hz=2 * WOBBLE_HZ,
        drive=4.0,
    ),
    "tanpura": Patch(
        oscillators=(
            Oscillator(shape="pulse", pan=-0.4),
            Oscillator(shape="saw", semitones=0.03, pan=0.4, phase=0.2),
            Oscillator(shape="saw", semitones=12.02, gain=0.35),
        ),
        attack=0.02,
        decay=1.6,
        sustain=0.2,
        release=0.8,
        row=2.2,
        row_per_brightness=1.6,
        wobble=0.7,
        wobble_hz=1.4,
    ),
    "saron": Patch(decay=0.5, sustain=0.0, release=0.3, fm_ratio=2.76, fm_index=1.1, fm_decay=0.12, detuned=0.12),
    "gong": Patch(
        attack=0.004, decay=1.8, sustain=0.0, release=1.0, fm_ratio=1.41, fm_index=1.4, fm_decay=0.9, detuned=0.09
    ),
}
