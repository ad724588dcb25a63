"""Where on the keyboard an instrument sounds well, and which of them can play more than one note at a time."""

from magenta_rt_py.train.studio.instruments import INSTRUMENTS

# Lowest and highest comfortable MIDI pitch by family of eight General MIDI programs, with those that differ from
# their family below. Source: the usual written ranges of the instruments, without their extremes.
_FAMILIES = (
    (36, 96),  # pianos
    (60, 96),  # bells and mallets
    (48, 89),  # organs and accordions
    (43, 79),  # guitars
    (28, 55),  # basses
    (50, 88),  # strings alone
    (43, 86),  # ensembles and voices
    (50, 79),  # brass
    (52, 82),  # reeds
    (62, 93),  # pipes
    (48, 91),  # synthesizer leads
    (40, 84),  # synthesizer pads
    (40, 88),  # synthesizer effects
    (50, 84),  # plucked, of many countries
    (50, 86),  # percussive
    (40, 84),  # noises
)
_PROGRAMS = {
    11: (53, 89),  # vibraphone
    12: (45, 88),  # marimba
    29: (45, 84),  # overdriven guitar
    30: (40, 81),  # distorted guitar
    40: (57, 93),  # violin
    41: (50, 81),  # viola
    42: (38, 72),  # cello
    43: (28, 55),  # contrabass
    46: (40, 91),  # harp
    47: (36, 57),  # timpani
    57: (41, 69),  # trombone
    58: (30, 57),  # tuba
    60: (41, 72),  # French horn
    64: (58, 86),  # soprano saxophone
    66: (46, 74),  # tenor saxophone
    67: (38, 67),  # baritone saxophone
    70: (36, 67),  # bassoon
    71: (52, 86),  # clarinet
    72: (74, 100),  # piccolo
    77: (50, 79),  # shakuhachi
    109: (55, 76),  # bagpipe
}
_PATCH = (40, 91)
_LOW = ("808", "reese", "gong")
_POLYPHONIC_FAMILIES = (0, 1, 2, 3, 11, 13)  # keys, mallets, organs, guitars, pads, plucked strings
_POLYPHONIC_PROGRAMS = (45, 46, 48, 49, 50, 51, 52, 53, 114)  # pizzicato, harp, ensembles, choirs, steel drums
_MONOPHONIC_PROGRAMS = (22, 109, 110, 111)  # harmonica, bagpipe, fiddle, shanai


def compass(name: str) -> tuple[int, int]:
    """Lowest and highest MIDI pitch at which an instrument sounds like itself."""
    program = INSTRUMENTS[name].program
    if program is None:
        return _PATCH
    return _PROGRAMS.get(program, _FAMILIES[program // 8])


def fit_centre(name: str, centre: int, *, span: int = 7) -> int:
    """The pitch nearest to `centre` around which an instrument has `span` semitones to both sides."""
    low, high = compass(name)
    return max(low + span, min(centre, high - span)) if high - low >= 2 * span else (low + high) // 2


def is_bass(name: str) -> bool:
    """Whether an instrument plays low notes only, so that it cannot stand for a melody or a chord."""
    return name.split()[-1].endswith("bass") or name in _LOW or compass(name)[1] <= 57


def is_polyphonic(name: str) -> bool:
    """Whether one player can sound a chord on it."""
    program = INSTRUMENTS[name].program
    if program is None:
        return not is_bass(name) and not name.endswith((" lead", "pulse"))
    if program in _MONOPHONIC_PROGRAMS:
        return False
    return program // 8 in _POLYPHONIC_FAMILIES or program in _POLYPHONIC_PROGRAMS
