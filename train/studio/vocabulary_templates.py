"""Sentences with gaps that captions fill in, in groups that are drawn by weight.

{genre} a way to name the style, {dated} the same behind a decade, {mood} a feeling, {tempo} slow .. fast, {sound} how it
was recorded, {busy} how full it is, {players} one to three instruments, {player} one of them, {plain} its plainest name,
{scene} where it would be played, {bpm} and {key} the numbers, {without} what is not in it ("no drums").
"""

Groups = tuple[tuple[float, tuple[str, ...]], ...]

FULL: Groups = (
    (
        0.2,  # a word or two
        (
            "{genre}",
            "{genre}",
            "{genre}",
            "{mood} {genre}",
            "{mood} {genre}",
            "{tempo} {genre}",
            "{sound} {genre}",
            "{busy} {genre}",
            "{dated}",
            "{genre} {scene}",
            "{mood} {dated}",
        ),
    ),
    (
        0.11,  # an instrument alone
        (
            "{player}",
            "{player}",
            "{player}",
            "{plain}",
            "{plain}",
            "{mood} {player}",
            "{sound} {player}",
            "the sound of {player}",
        ),
    ),
    (
        0.17,  # an instrument in its style
        (
            "{genre} with {player}",
            "{genre} with {players}",
            "{genre} with {players}",
            "{player} over {genre}",
            "{player} and {genre}",
            "{genre} and {player}",
            "{genre} plus {player}",
            "{genre} {plain}",
            "{plain} {genre}",
            "{genre} featuring {players}",
            "{genre} led by {player}, {sound} and {busy}",
            "{players} playing {genre}",
            "{mood} {genre} with {players}",
            "{tempo} {genre} with {players}",
            "{mood} {tempo} {genre} with {players}",
            "{genre} {scene} with {player}",
            "{dated} with {players}",
            "a {genre} track with {players}",
            "{mood} music with {players}",
            "{players} in a {mood} {genre} piece",
        ),
    ),
    (
        0.17,  # lists
        (
            "{genre}, {mood}",
            "{genre}, {player}",
            "{mood}, {genre}",
            "{genre}, {mood}, {tempo}",
            "{genre} / {mood} / {tempo}",
            "{genre}, {players}, {mood}",
            "{players}, {mood}",
            "{player}, {tempo}, {genre}",
            "{players}, {genre}, {sound}",
            "{mood}, {sound}, {busy}",
            "{mood}, {mood2}, {tempo}",
            "{genre}. {tempo}, {mood}, {sound}.",
            "{dated}, {mood}, {player}",
            "{tempo}, {sound}, {genre}, {mood}",
            "{genre} + {player} + {mood}",
            "{sound} {busy} {genre}, {players}, {bpm} bpm, {key}",
            "{genre}, {sound}, {without}",
        ),
    ),
    (
        0.15,  # sentences
        (
            "something {mood} and {mood2}, like {genre}",
            "some {mood} {genre} please",
            "play {genre}",
            "play some {mood} {genre}",
            "I want {genre} with {player}",
            "give me {mood} {genre} {scene}",
            "a {mood} {genre} track {scene}",
            "make it {mood} and {sound}, {genre}",
            "this is {genre}, {tempo} and {mood}",
            "a {tempo} {mood} piece of {genre}, {sound}, with {players}",
            "a {sound} recording of {genre}",
            "{genre} that sounds {mood} and {sound}",
            "a {mood} tune in the style of {genre}",
            "{busy} {genre} with a {mood} mood",
            "an instrumental {genre} track, {tempo} and {mood}",
            "a {mood} groove: {genre} with {players}",
        ),
    ),
    (
        0.08,  # numbers
        (
            "{genre} at {bpm} bpm",
            "{bpm} bpm {genre}",
            "{genre}, {bpm} bpm",
            "{genre} in {key}",
            "{genre} in {key}, {bpm} bpm",
            "a {mood} {genre} track at {bpm} bpm",
            "{tempo} {genre}, around {bpm} beats per minute",
            "{players}, {key}, {bpm} bpm",
            "a {tempo} {mood} piece of {genre}, {sound}, with {players}, around {bpm} bpm in {key}",
            "{mood} music, {bpm} bpm",
        ),
    ),
    (
        0.05,  # feelings and places without a style
        (
            "{mood} music",
            "{mood} music {scene}",
            "{tempo} {mood} music",
            "music {scene}",
            "something {mood} {scene}",
            "{mood} and {mood2} music with {player}",
            "{sound}, {mood} sounds {scene}",
        ),
    ),
    (
        0.07,  # what is missing
        (
            "{genre}, {without}",
            "{mood} {genre}, {without}",
            "{genre} with {player}, {without}",
            "{mood} music, {without}",
            "{players}, {without}",
        ),
    ),
)

SOLO: Groups = (
    (
        0.45,  # an instrument, and that it is alone
        (
            "solo {plain}",
            "{plain} solo",
            "{player} alone",
            "just {player}",
            "only {player}",
            "unaccompanied {plain}",
            "{player} and nothing else",
            "{player}, no other instruments",
            "{player}, {without}",
            "{player} by itself",
            "a solo for {plain}",
            "{plain} without accompaniment",
        ),
    ),
    (0.2, ("{player}", "{player}", "{plain}", "{plain}", "{plain} melody", "{mood} {player}")),
    (
        0.35,  # how it plays
        (
            "{mood} solo {plain}",
            "a {mood} {plain} solo",
            "{tempo} {mood} {player}, nothing else",
            "{sound} {player} alone",
            "{player} playing {genre} alone",
            "{genre} {plain} solo",
            "{genre} for solo {plain}",
            "solo {plain} in {key}",
            "solo {plain}, {mood}, {tempo}",
            "{mood} {player} {scene}, nobody else",
            "a {tempo} {plain} solo at {bpm} bpm",
            "one {plain}, {mood} and {mood2}",
        ),
    ),
)

STEM: Groups = (
    (
        0.45,
        (
            "{player} only",
            "only {player}",
            "just {player}",
            "isolated {player}",
            "{player} stem",
            "{player} track, {without}",
            "{player}, {without}",
            "{player} without the rest of the band",
            "the {genre} {part} alone",
            "{genre} {part} only",
            "isolated {genre} {part}",
        ),
    ),
    (0.2, ("{player}", "{plain}", "{part}", "{genre} {part}", "{mood} {part}")),
    (
        0.35,
        (
            "{mood} {genre} {part}, nothing else",
            "{tempo} {part}, {without}",
            "{player} from a {genre} track",
            "{genre} {part} at {bpm} bpm",
            "{sound} {player} alone",
            "only the {part} of a {mood} {genre} track",
            "{genre} stripped down to the {part}",
            "{player} by itself, {tempo} and {mood}",
            "{part} for {genre}",
        ),
    ),
)

PARTS: dict[str, tuple[str, ...]] = {  # what people call a stem
    "drums": ("drums", "beat", "drum track", "percussion", "drum loop", "rhythm"),
    "bass": ("bass line", "bass", "bass track", "low end"),
    "comp": ("chords", "chord track", "accompaniment", "riff"),
    "pad": ("pads", "background chords", "sustained chords", "pad"),
    "lead": ("lead", "melody", "lead line", "solo line"),
}

MISSING: dict[str, tuple[str, ...]] = {  # what people say where a stem is not heard
    "drums": ("no drums", "without drums", "no percussion", "no beat", "drumless", "beatless"),
    "bass": ("no bass", "without bass", "no low end"),
}
INSTRUMENTAL = ("instrumental", "no vocals", "without singing", "no voice", "no lyrics")  # true where no voice sings
OTHERS_MISSING = ("no other instruments", "nothing else", "no accompaniment", "without other instruments")
