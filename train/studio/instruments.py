"""Every pitched instrument a piece can cast, and how people name it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One pitched voice: either a General MIDI program or a patch of our own synthesizer."""

    program: int | None = None  # General MIDI program number, 0..127; None for a synthesizer patch
    patch: str | None = None  # name in synth.PATCHES; None for a General MIDI program
    velocity: int = 112  # MIDI velocity its notes are sampled at; fixed, so that equal notes are equal sounds
    words: tuple[str, ...]  # what captions call it
    sustained: bool = False  # holds its level while the key is down


def _gm(program: int, *words: str, sustained: bool = False) -> Instrument:
    return Instrument(program=program, words=words, sustained=sustained)


def _synth(patch: str, *words: str, sustained: bool = False) -> Instrument:
    return Instrument(patch=patch, words=words, sustained=sustained)


INSTRUMENTS: dict[str, Instrument] = {
    "grand piano": _gm(0, "grand piano", "piano", "acoustic piano", "piano keys"),
    "bright piano": _gm(2, "house piano", "bright piano", "piano chords"),
    "electric piano": _gm(4, "electric piano", "rhodes", "warm keys", "e-piano", "rhodes chords"),
    "clavinet": _gm(7, "clavinet", "clav", "funky clav"),
    "celesta": _gm(8, "celesta", "bell tones"),
    "music box": _gm(10, "music box", "toy bells"),
    "vibraphone": _gm(11, "vibraphone", "vibes", "mallets"),
    "marimba": _gm(12, "marimba", "wooden mallets"),
    "drawbar organ": _gm(16, "organ", "hammond organ", "drawbar organ", sustained=True),
    "percussive organ": _gm(17, "organ stabs", "percussive organ", "organ", sustained=True),
    "rock organ": _gm(18, "rock organ", "organ", sustained=True),
    "accordion": _gm(21, "accordion", "squeezebox", sustained=True),
    "nylon guitar": _gm(24, "nylon guitar", "classical guitar", "soft guitar"),
    "acoustic guitar": _gm(25, "acoustic guitar", "steel string guitar", "fingerpicked guitar"),
    "jazz guitar": _gm(26, "jazz guitar", "mellow guitar", "hollow body guitar"),
    "clean guitar": _gm(27, "clean electric guitar", "rhythm guitar", "chicken scratch guitar", "funky guitar"),
    "muted guitar": _gm(28, "muted guitar", "palm muted guitar", "tight rhythm guitar"),
    "overdriven guitar": _gm(29, "lead guitar", "overdriven guitar", "guitar solo", sustained=True),
    "distorted guitar": _gm(
        30, "distorted guitar", "heavy guitars", "electric guitar", "power chords", "guitar riffs", sustained=True
    ),
    "upright bass": _gm(32, "upright bass", "double bass", "acoustic bass"),
    "electric bass": _gm(33, "electric bass", "bass guitar", "fingered bass"),
    "picked bass": _gm(34, "picked bass", "bass guitar", "driving bass guitar"),
    "slap bass": _gm(36, "slap bass", "popping bass", "funky bass"),
    "violin": _gm(40, "violin", "fiddle", "solo violin", sustained=True),
    "cello": _gm(42, "cello", "cellos", "low strings", sustained=True),
    "contrabass": _gm(43, "double basses", "low strings", sustained=True),
    "pizzicato strings": _gm(45, "pizzicato strings", "plucked strings"),
    "harp": _gm(46, "harp", "harp arpeggios"),
    "strings": _gm(48, "strings", "string section", "violins", "lush strings", sustained=True),
    "choir": _gm(52, "choir", "voices", "vocal pad", "choir aahs", sustained=True),
    "trumpet": _gm(56, "trumpet", "horn line", sustained=True),
    "trombone": _gm(57, "trombone", sustained=True),
    "french horns": _gm(60, "french horns", "horns", "heroic horns", sustained=True),
    "brass section": _gm(61, "brass section", "horns", "brass hits", sustained=True),
    "saxophone": _gm(66, "saxophone", "sax", "tenor sax", sustained=True),
    "oboe": _gm(68, "oboe", sustained=True),
    "clarinet": _gm(71, "clarinet", sustained=True),
    "flute": _gm(73, "flute", "soft flute", sustained=True),
    "pan flute": _gm(75, "pan flute", "airy flute", sustained=True),
    "kalimba": _gm(108, "kalimba", "thumb piano"),
    "steel drums": _gm(114, "steel drums", "steel pans"),
    "supersaw": _synth("supersaw", "supersaw pad", "big synth chords", "wide synths", "saw pad", sustained=True),
    "warm pad": _synth("warm pad", "warm pad", "soft pad", "synth pad", "analog pad", sustained=True),
    "dark pad": _synth("dark pad", "dark pad", "brooding pad", "murky synth pad", sustained=True),
    "glass pad": _synth("glass pad", "glassy pad", "shimmering pad", "crystal pad", sustained=True),
    "stab": _synth("stab", "synth stab", "dub chord", "chord stab", "techno stab"),
    "pluck": _synth("pluck", "plucked synth", "synth pluck", "pluck"),
    "arp synth": _synth("arp synth", "arpeggio", "synth arpeggio", "sequenced synth", "arpeggiator"),
    "saw bass": _synth("saw bass", "analog bass", "saw bass", "synth bass", sustained=True),
    "house bass": _synth("house bass", "bouncy bass", "synth bass", "round bass"),
    "rumble bass": _synth("rumble bass", "rumbling bass", "low rumble", "sub bass"),
    "acid bass": _synth("acid bass", "acid bass", "303 line", "squelchy bass"),
    "sub bass": _synth("sub bass", "sub bass", "deep bass", "low end", sustained=True),
    "808": _synth("808", "808 bass", "booming sub bass", "long 808 notes", "heavy 808", sustained=True),
    "reese": _synth("reese", "reese bass", "growling bass", "deep reese bass", "detuned bass", sustained=True),
    "saw lead": _synth("saw lead", "saw lead", "synth lead", "soaring lead", sustained=True),
    "square lead": _synth("square lead", "square lead", "retro lead", "synth lead", sustained=True),
    "bell": _synth("bell", "bells", "fm bell", "cold bells", "glassy bell"),
    "chip pulse": _synth("chip pulse", "pulse wave lead", "square wave melody", "chip lead", "bleeps", sustained=True),
    "chip arp": _synth("chip arp", "chip arpeggios", "fast bleeping arpeggio", "pulse wave chords", sustained=True),
    "chip bass": _synth("chip bass", "triangle bass", "chip bass", "console bass", sustained=True),
}
