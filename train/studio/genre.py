"""What makes a genre: its sounds, grooves, chords and tempos.

Grooves are strings that span one loop (a bar of four beats, or two bars where the genre says so), whatever their
length: 16 steps are sixteenth notes, 32 steps in one bar are double time, 12 steps are triplets.

  drums   X accent, x normal, g ghost, r two quick hits, . rest
  bass    R root, O octave, F fifth, T third, S seventh, A a step below the next root, - hold, . rest
  comp    x chord, 0..9 one note of the voicing (4 and up: an octave higher), - hold, . rest
  lead    x new note, - hold, . rest
"""

from dataclasses import dataclass

Groove = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Genre:
    """One style of music. Where a field is a tuple of choices, each piece draws one."""

    frames_per_beat: tuple[int, ...]  # codec frames of 40 ms in a beat; bpm = 1500 / frames_per_beat
    long_loops: tuple[int, ...] = ()  # the frames_per_beat at which a loop spans two bars instead of one
    kit: str | None = None  # name in drums.KITS; None for music without drums
    drums: tuple[Groove, ...] = ()  # sparse to busy
    fill: Groove | None = None  # added on the last bar of a section, 16 steps
    crash: bool = False  # cymbal on the first beat of a section
    bass: tuple[str, ...] = ()  # instruments
    bass_figures: tuple[str, ...] = ()
    bass_centre: int = 38  # MIDI pitch the bass stays near
    comp: tuple[str, ...] = ()
    comp_figures: tuple[str, ...] = ()
    comp_centre: int = 60
    power_chords: bool = False  # comp plays root, fifth and octave
    pad: tuple[str, ...] = ()  # holds the chord
    pad_centre: int = 60
    lead: tuple[str, ...] = ()
    lead_figures: tuple[str, ...] = ()  # two bars
    lead_centre: int = 72
    chords: tuple[tuple[str, str], ...]  # (mode, Roman numerals), one chord a `chord_beats`
    chord_beats: int = 4  # 4 or 8
    core: tuple[str, ...]  # stems that never leave
    moods: tuple[str, ...]
    brightness: tuple[float, float] = (0.4, 0.7)  # range of the card's brightness, 0 dark .. 1 brilliant
    levels_db: dict[str, float]  # loudness of stems against the drums' nominal level
    room: str = "room"  # name in effects.ROOMS
    wet: float = 0.2  # reverb gain
    duck: float = 0.0  # how far the kick pushes the other stems down, 0..1
    echo: float = 0.0  # lead echo gain, dotted eighth
    lowpass_hz: float | None = None  # on the whole mix
    drive: float = 0.0  # saturation of the whole mix, 0 none .. 1 strong
    dust: float = 0.0  # gain of the vinyl crackle loop


def levels_db(
    drums: float = 0.0,
    bass: float = 0.0,
    comp: float = 0.0,
    pad: float = 0.0,
    lead: float = 0.0,
) -> dict[str, float]:
    """Loudness of each stem in dB against its nominal level."""
    return {"drums": drums, "bass": bass, "comp": comp, "pad": pad, "lead": lead}


FOUR_ON_THE_FLOOR = "X...X...X...X..."
BACKBEAT = "....X.......X..."
EIGHTHS = "X.x.X.x.X.x.X.x."
SIXTEENTHS = "xgxgxgxgxgxgxgxg"
OFFBEATS = "..x...x...x...x."
SNARE_FILL = {"snare": "............xxXX"}
TOM_FILL = {"snare": "........x.x.....", "tom": "..........x.xxXX"}
