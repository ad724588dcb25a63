"""Every pitched instrument a piece can cast, and how people name it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One pitched voice: either a General MIDI program or a patch of our own synthesizer."""

    program: int | None = None  # General MIDI program number, 0..127; None for a synthesizer patch
    patch: str | None = None  # name in synth.PATCHES; None for a General MIDI program
    velocity: int = 112  # MIDI velocity its notes are sampled at; fixed, so that equal notes are equal sounds
    words: tuple[str, ...]  # what captions call it; the first is the plainest
    sustained: bool = False  # holds its level while the key is down


def _gm(program: int, *words: str, sustained: bool = False) -> Instrument:
    return Instrument(program=program, words=words, sustained=sustained)


def _synth(patch: str, *words: str, sustained: bool = False) -> Instrument:
    return Instrument(patch=patch, words=words, sustained=sustained)


_KEYS = {
    "grand piano": _gm(0, "piano", "grand piano", "acoustic piano", "piano keys", "concert piano", "piano playing"),
    "bright piano": _gm(2, "bright piano", "house piano", "piano chords", "piano", "hard bright piano"),
    "honky-tonk piano": _gm(
        3, "honky tonk piano", "saloon piano", "barroom piano", "out of tune piano", "old upright piano"
    ),
    "electric piano": _gm(4, "electric piano", "rhodes", "warm keys", "e-piano", "rhodes chords", "tine piano"),
    "fm piano": _gm(5, "fm electric piano", "dx piano", "glassy electric piano", "digital piano", "eighties electric piano"),
    "harpsichord": _gm(6, "harpsichord", "cembalo", "baroque keyboard", "plucked keyboard", "clavecin"),
    "clavinet": _gm(7, "clavinet", "clav", "funky clav", "funky clavinet", "wah clav"),
    "celesta": _gm(8, "celesta", "bell tones", "soft keyboard bells", "celeste"),
    "glockenspiel": _gm(9, "glockenspiel", "bell lyre", "small metal bars", "bright chimes"),
    "music box": _gm(10, "music box", "toy bells", "wind-up music box", "tinkling music box"),
    "vibraphone": _gm(11, "vibraphone", "vibes", "mallets", "jazz vibraphone"),
    "marimba": _gm(12, "marimba", "wooden mallets", "warm wooden bars", "marimba pattern"),
    "xylophone": _gm(13, "xylophone", "hard wooden mallets", "wooden bars", "xylophone runs"),
    "tubular bells": _gm(14, "tubular bells", "church bells", "chimes", "orchestral bells"),
    "hammered dulcimer": _gm(15, "hammered dulcimer", "santoor", "struck zither", "dulcimer", "cimbalom"),
    "drawbar organ": _gm(16, "organ", "hammond organ", "drawbar organ", "tonewheel organ", "hammond", sustained=True),
    "percussive organ": _gm(
        17, "percussive organ", "organ stabs", "organ", "clicking organ", "organ chords", sustained=True
    ),
    "rock organ": _gm(18, "rock organ", "organ", "overdriven organ", "organ with leslie", sustained=True),
    "church organ": _gm(19, "church organ", "pipe organ", "cathedral organ", "organ pipes", sustained=True),
    "reed organ": _gm(20, "harmonium", "reed organ", "melodica", "pump organ", sustained=True),
    "accordion": _gm(21, "accordion", "squeezebox", "musette accordion", "accordion melody", sustained=True),
    "harmonica": _gm(22, "harmonica", "blues harp", "mouth organ", "mouth harp", sustained=True),
}

_STRUNG = {
    "nylon guitar": _gm(24, "nylon guitar", "classical guitar", "soft guitar", "spanish guitar", "gut string guitar"),
    "acoustic guitar": _gm(
        25, "acoustic guitar", "steel string guitar", "fingerpicked guitar", "strummed guitar", "western guitar"
    ),
    "jazz guitar": _gm(26, "jazz guitar", "mellow guitar", "hollow body guitar", "archtop guitar"),
    "clean guitar": _gm(
        27, "clean electric guitar", "rhythm guitar", "chicken scratch guitar", "funky guitar", "clean guitar", "guitar"
    ),
    "muted guitar": _gm(28, "muted guitar", "palm muted guitar", "tight rhythm guitar", "skank guitar"),
    "overdriven guitar": _gm(
        29, "lead guitar", "overdriven guitar", "guitar solo", "crunchy guitar", "guitar lead", sustained=True
    ),
    "distorted guitar": _gm(
        30,
        "distorted guitar",
        "heavy guitars",
        "electric guitar",
        "power chords",
        "guitar riffs",
        "fuzz guitar",
        "loud guitars",
        sustained=True,
    ),
    "upright bass": _gm(32, "upright bass", "double bass", "acoustic bass", "plucked double bass", "stand-up bass"),
    "electric bass": _gm(33, "electric bass", "bass guitar", "fingered bass", "finger bass", "bass"),
    "picked bass": _gm(34, "picked bass", "bass guitar", "driving bass guitar", "plectrum bass", "bass"),
    "fretless bass": _gm(35, "fretless bass", "singing bass guitar", "smooth fretless", "sliding bass"),
    "slap bass": _gm(36, "slap bass", "popping bass", "funky bass", "slapped bass guitar"),
    "violin": _gm(40, "violin", "solo violin", "a single violin", "violin melody", sustained=True),
    "viola": _gm(41, "viola", "solo viola", "dark viola", "viola line", sustained=True),
    "cello": _gm(42, "cello", "cellos", "low strings", "solo cello", "violoncello", sustained=True),
    "contrabass": _gm(43, "double basses", "low strings", "bowed basses", "contrabass", sustained=True),
    "tremolo strings": _gm(
        44, "tremolo strings", "trembling strings", "shivering strings", "nervous strings", sustained=True
    ),
    "pizzicato strings": _gm(45, "pizzicato strings", "plucked strings", "pizzicato", "string plucks"),
    "harp": _gm(46, "harp", "harp arpeggios", "concert harp", "plucked harp"),
    "strings": _gm(
        48, "strings", "string section", "violins", "lush strings", "orchestral strings", "string ensemble", sustained=True
    ),
    "synth strings": _gm(50, "synth strings", "string machine", "electronic strings", "string synthesizer", sustained=True),
    "sitar": _gm(104, "sitar", "indian sitar", "buzzing sitar", "sitar melody"),
    "banjo": _gm(105, "banjo", "five string banjo", "picked banjo", "banjo roll"),
    "koto": _gm(107, "koto", "japanese zither", "plucked zither", "koto strings"),
    "fiddle": _gm(110, "fiddle", "country fiddle", "folk fiddle", "fiddle tune", sustained=True),
}

_BLOWN = {
    "choir": _gm(52, "choir", "voices", "vocal pad", "choir aahs", "chorus of voices", "singing choir", sustained=True),
    "oohs": _gm(53, "soft voices", "oohs", "humming voices", "wordless singing", "backing vocals", sustained=True),
    "trumpet": _gm(56, "trumpet", "horn line", "solo trumpet", "trumpet melody", sustained=True),
    "trombone": _gm(57, "trombone", "slide trombone", "solo trombone", "low brass", sustained=True),
    "muted trumpet": _gm(59, "muted trumpet", "harmon mute trumpet", "smoky trumpet", "trumpet with a mute", sustained=True),
    "french horns": _gm(60, "french horns", "horns", "heroic horns", "french horn", sustained=True),
    "brass section": _gm(61, "brass section", "horns", "brass hits", "horn section", "brass", sustained=True),
    "alto sax": _gm(65, "alto sax", "alto saxophone", "sax", "high saxophone", sustained=True),
    "saxophone": _gm(66, "saxophone", "sax", "tenor sax", "tenor saxophone", "sax solo", sustained=True),
    "oboe": _gm(68, "oboe", "solo oboe", "plaintive oboe", "oboe melody", sustained=True),
    "bassoon": _gm(70, "bassoon", "low reeds", "solo bassoon", "fagott", sustained=True),
    "clarinet": _gm(71, "clarinet", "solo clarinet", "woody clarinet", "clarinet melody", sustained=True),
    "flute": _gm(73, "flute", "soft flute", "flute melody", "solo flute", "concert flute", sustained=True),
    "recorder": _gm(74, "recorder", "wooden recorder", "block flute", "recorder melody", sustained=True),
    "pan flute": _gm(75, "pan flute", "airy flute", "pan pipes", "andean pipes", sustained=True),
    "tin whistle": _gm(78, "tin whistle", "penny whistle", "irish whistle", "whistle", sustained=True),
    "bagpipe": _gm(109, "bagpipes", "bagpipe", "highland pipes", "uilleann pipes", sustained=True),
}

_STRUCK = {
    "kalimba": _gm(108, "kalimba", "thumb piano", "mbira", "plucked metal tongues"),
    "steel drums": _gm(114, "steel drums", "steel pans", "steel pan", "caribbean pans"),
    "saron": _synth("saron", "metallophone", "saron", "bronze bars", "gamelan keys"),
    "gong": _synth("gong", "gong", "deep gong", "bronze gong", "struck gong"),
}

_PADS = {
    "supersaw": _synth(
        "supersaw",
        "supersaw",
        "big synth chords",
        "wide synths",
        "saw pad",
        "supersaw pad",
        "supersaw chords",
        sustained=True,
    ),
    "warm pad": _synth("warm pad", "warm pad", "soft pad", "synth pad", "analog pad", "pad", sustained=True),
    "dark pad": _synth("dark pad", "dark pad", "brooding pad", "murky synth pad", "black pad", sustained=True),
    "glass pad": _synth("glass pad", "glassy pad", "shimmering pad", "crystal pad", "glass harmonics", sustained=True),
    "tanpura": _synth("tanpura", "tanpura", "tanpura drone", "buzzing drone", "indian drone"),
    "synth brass": _synth("synth brass", "synth brass", "brassy synth", "analog brass", "fanfare synth", sustained=True),
}

_SYNTHS = {
    "stab": _synth("stab", "synth stab", "chord stab", "techno stab", "stabs"),
    "dub chord": _synth("dub chord", "dub chord", "dub chords", "echoing chord", "deep minor chord"),
    "pluck": _synth("pluck", "plucked synth", "synth pluck", "pluck", "plucky synth"),
    "arp synth": _synth("arp synth", "arpeggio", "synth arpeggio", "sequenced synth", "arpeggiator", "synth sequence"),
    "blip": _synth("blip", "robotic blips", "synth blips", "bleeping sequence", "computer bleeps"),
    "acid lead": _synth("acid lead", "acid line", "squelching acid", "acid lead", "303 lead", "acid"),
    "saw lead": _synth("saw lead", "saw lead", "synth lead", "soaring lead", "sawtooth lead", sustained=True),
    "square lead": _synth("square lead", "square lead", "retro lead", "synth lead", "hollow lead", sustained=True),
    "sine lead": _synth("sine lead", "sine lead", "whistling synth", "theremin", "smooth portamento lead", sustained=True),
    "screech lead": _synth(
        "screech lead", "screech lead", "screaming synth", "distorted lead", "harsh lead", sustained=True
    ),
    "pedal steel": _synth("pedal steel", "pedal steel", "steel guitar", "lap steel", "sliding steel guitar", sustained=True),
    "cowbell synth": _synth("cowbell synth", "cowbell melody", "cowbell", "tuned cowbells", "memphis cowbell"),
    "bell": _synth("bell", "bells", "fm bell", "cold bells", "glassy bell", "bell synth"),
    "chip pulse": _synth(
        "chip pulse", "pulse wave lead", "square wave melody", "chip lead", "bleeps", "8-bit lead", sustained=True
    ),
    "chip arp": _synth(
        "chip arp", "chip arpeggios", "fast bleeping arpeggio", "pulse wave chords", "8-bit arpeggio", sustained=True
    ),
}

_BASSES = {
    "saw bass": _synth("saw bass", "analog bass", "saw bass", "synth bass", "bass synth", sustained=True),
    "house bass": _synth("house bass", "bouncy bass", "synth bass", "round bass", "plump bass"),
    "organ bass": _synth("organ bass", "organ bass", "garage bass", "hollow bass", "warm club bass"),
    "rumble bass": _synth("rumble bass", "rumbling bass", "low rumble", "techno bass", "dark rumble"),
    "acid bass": _synth("acid bass", "acid bass", "303 line", "squelchy bass", "303 bass", "acid"),
    "psy bass": _synth("psy bass", "psytrance bass", "galloping bass", "rolling sixteenth bass", "clicky bass"),
    "reverse bass": _synth("reverse bass", "reverse bass", "offbeat distorted bass", "hardstyle bass", "hard offbeat bass"),
    "sub bass": _synth("sub bass", "sub bass", "deep bass", "low end", "sine bass", "sub", sustained=True),
    "808": _synth("808", "808 bass", "booming sub bass", "long 808 notes", "heavy 808", "808", sustained=True),
    "reese": _synth("reese", "reese bass", "growling bass", "deep reese bass", "detuned bass", "reese", sustained=True),
    "wobble bass": _synth(
        "wobble bass", "wobble bass", "wobbling bass", "wub bass", "wobbly dubstep bass", "wubs", sustained=True
    ),
    "growl bass": _synth("growl bass", "growl bass", "snarling bass", "talking bass", "vicious bass", sustained=True),
    "chip bass": _synth("chip bass", "triangle bass", "chip bass", "console bass", "8-bit bass", sustained=True),
}

INSTRUMENTS: dict[str, Instrument] = _KEYS | _STRUNG | _BLOWN | _STRUCK | _PADS | _SYNTHS | _BASSES
