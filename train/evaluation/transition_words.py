"""What the paper's prompt words are in this project's studio: the same thing, something near, or something remote.

The models here know the genres and instruments of the studio and nothing else, so a word that they have never met is
brought to the nearest that they have. The counts of the three grades stand in every report: they say how much of the
paper's test this one still is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from magenta_rt_py.train.evaluation.transition_pairs import PAIRS

GRADES = ("exact", "near", "remote")
"""The same style or instrument; one of its family; only its mood or its place in the music."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
    """A word of the paper, brought to the studio."""

    word: str
    name: str
    """A genre or an instrument of the studio; what the model is asked for."""
    grade: str


def _styles(exact: str = "", near: str = "", remote: str = "") -> tuple[tuple[str, str], ...]:
    """(name, grade), the best first; names are parted by commas."""
    return tuple(
        (name.strip(), grade)
        for grade, names in zip(GRADES, (exact, near, remote))
        for name in names.split(",")
        if name.strip()
    )


WORDS: dict[str, tuple[tuple[str, str], ...]] = {
    "Accordion": _styles(exact="accordion", near="reed organ", remote="harmonica"),
    "Afrobeat": _styles(exact="afrobeat", remote="funk, disco"),
    "Alternative Country": _styles(near="country, folk", remote="pedal steel, acoustic guitar"),
    "Alto Saxophone": _styles(exact="alto sax", near="saxophone", remote="clarinet"),
    "Ambient": _styles(exact="ambient", remote="warm pad"),
    "American Folk": _styles(near="folk, country", remote="acoustic guitar, banjo"),
    "Bagpipes": _styles(exact="bagpipe", remote="celtic, reed organ"),
    "Balalaika Ensemble": _styles(remote="acoustic guitar, pizzicato strings"),
    "Banjo": _styles(exact="banjo", remote="country, acoustic guitar"),
    "Baroque": _styles(exact="baroque", near="harpsichord", remote="cinematic, strings"),
    "Bass Clarinet": _styles(near="clarinet", remote="bassoon"),
    "Bassoon": _styles(exact="bassoon", near="clarinet, oboe"),
    "Blues Rock": _styles(near="blues, rock", remote="overdriven guitar"),
    "Bongos": _styles(remote="salsa, afrobeat, marimba"),
    "Bossa Nova": _styles(exact="bossa nova", remote="jazz, nylon guitar"),
    "Bouzouki": _styles(remote="acoustic guitar, banjo"),
    "Breakbeat": _styles(near="drum and bass", remote="boom bap, electro"),
    "Cavaquinho": _styles(remote="nylon guitar, acoustic guitar"),
    "Cello": _styles(exact="cello", near="contrabass, strings"),
    "Chamber Music": _styles(near="string quartet", remote="baroque, strings"),
    "Charango": _styles(remote="nylon guitar, harp, acoustic guitar"),
    "Chillout": _styles(near="ambient", remote="trip hop, lofi hip hop"),
    "Chiptune": _styles(exact="chiptune", remote="chip pulse"),
    "Classic Rock": _styles(near="rock", remote="overdriven guitar"),
    "Clavichord": _styles(near="harpsichord, clavinet", remote="baroque"),
    "Congo Drums": _styles(remote="salsa, afrobeat, marimba"),
    "Contemporary R&B": _styles(near="r&b", remote="soul, trap"),
    "Country": _styles(exact="country", remote="folk, pedal steel"),
    "Delta Blues": _styles(near="blues", remote="acoustic guitar, folk"),
    "Didgeridoo": _styles(remote="tanpura, dark pad"),
    "Dirty Synths": _styles(near="screech lead, growl bass", remote="saw lead, dubstep"),
    "Disco Funk": _styles(near="disco, funk", remote="slap bass"),
    "Djembe": _styles(remote="afrobeat, salsa, kalimba"),
    "Doo Wop": _styles(near="oohs", remote="soul, choir"),
    "Drum & Bass": _styles(exact="drum and bass", remote="reese"),
    "Dubstep": _styles(exact="dubstep", near="wobble bass", remote="dub"),
    "Dulcimer": _styles(exact="hammered dulcimer", remote="harpsichord"),
    "Electro Swing": _styles(remote="big band, house"),
    "Erhu": _styles(remote="violin, fiddle"),
    "Fiddle": _styles(exact="fiddle", near="violin", remote="celtic"),
    "Flamenco Guitar": _styles(near="flamenco, nylon guitar"),
    "Funk Drums": _styles(near="funk", remote="boom bap, disco"),
    "Funk Metal": _styles(remote="funk, metal, slap bass"),
    "Funky": _styles(near="funk", remote="disco, slap bass"),
    "Fuzz Guitar": _styles(near="distorted guitar, overdriven guitar", remote="rock"),
    "Garage Rock": _styles(near="rock", remote="punk"),
    "Glitch Hop": _styles(remote="trip hop, electro, boom bap, lofi hip hop"),
    "Glockenspiel": _styles(exact="glockenspiel", near="celesta, music box"),
    "Guitar": _styles(near="acoustic guitar, clean guitar"),
    "Gypsy Jazz": _styles(near="jazz, jazz guitar", remote="fiddle"),
    "Hang Drum": _styles(remote="steel drums, kalimba, gamelan"),
    "Hard Bop Jazz": _styles(near="jazz", remote="saxophone"),
    "Hard Rock": _styles(near="rock", remote="metal"),
    "Harp": _styles(exact="harp", remote="pizzicato strings"),
    "Harpsichord": _styles(exact="harpsichord", remote="baroque"),
    "Heavy Metal": _styles(near="metal", remote="distorted guitar"),
    "Hurdy-gurdy": _styles(remote="reed organ, fiddle, bagpipe"),
    "Hyperpop": _styles(remote="pop, supersaw"),
    "Indian Classical": _styles(near="raga", remote="sitar"),
    "Indie Electronic": _styles(remote="synthwave, pop, electro"),
    "Indie Folk": _styles(near="folk", remote="acoustic guitar"),
    "Indie Pop": _styles(near="pop", remote="clean guitar"),
    "Industrial Rock": _styles(remote="metal, rock, distorted guitar"),
    "Irish Folk": _styles(near="celtic, tin whistle", remote="folk"),
    "Jamaican Dub": _styles(near="dub", remote="reggae, dub chord"),
    "K-Pop": _styles(near="pop", remote="electro, synthwave"),
    "Kalimba": _styles(exact="kalimba", remote="marimba"),
    "Klezmer": _styles(remote="clarinet, accordion"),
    "Koto": _styles(exact="koto", remote="harp"),
    "Latin Jazz": _styles(remote="salsa, jazz, brass section"),
    "LinnDrum": _styles(remote="synthwave, electro, disco"),
    "Lo-Fi Hip Hop": _styles(exact="lofi hip hop", remote="boom bap"),
    "Lute": _styles(remote="nylon guitar, harp"),
    "Lyre": _styles(near="harp", remote="nylon guitar"),
    "Mandolin": _styles(remote="banjo, acoustic guitar"),
    "Marching Band": _styles(remote="brass section, trombone, big band"),
    "Mariachi": _styles(remote="trumpet, nylon guitar"),
    "Marimba": _styles(exact="marimba", near="xylophone, vibraphone"),
    "Mbira": _styles(near="kalimba", remote="marimba"),
    "Mellotron": _styles(remote="synth strings, choir"),
    "Minimal Techno": _styles(near="techno", remote="dub techno"),
    "Moombahton": _styles(near="reggaeton", remote="dubstep, house"),
    "Neo-Soul": _styles(near="r&b, soul", remote="electric piano"),
    "Orchestral Score": _styles(near="cinematic", remote="strings"),
    "Piano Ballad": _styles(near="solo piano", remote="grand piano"),
    "Pipa": _styles(remote="koto, banjo, pizzicato strings"),
    "Pop Punk": _styles(near="punk", remote="rock, pop"),
    "Post Rock": _styles(remote="rock, clean guitar, ambient"),
    "Post-Punk": _styles(near="punk", remote="rock, picked bass"),
    "Precision Bass": _styles(near="electric bass", remote="picked bass"),
    "Progressive House": _styles(near="house", remote="trance"),
    "Psychedelic": _styles(remote="psytrance, sitar, rock organ"),
    "Psychedelic Rock": _styles(near="rock", remote="rock organ, sitar"),
    "R&B (Rhythm and Blues)": _styles(exact="r&b", near="soul", remote="electric piano"),
    "Ragtime Piano": _styles(near="honky-tonk piano", remote="solo piano, grand piano"),
    "Renaissance Music": _styles(remote="baroque, recorder"),
    "Sarod": _styles(near="sitar", remote="raga, tanpura"),
    "Sitar": _styles(exact="sitar", near="raga", remote="tanpura"),
    "Ska": _styles(remote="reggae, brass section"),
    "Smooth Pianos": _styles(near="solo piano, grand piano", remote="electric piano"),
    "Soprano Saxophone": _styles(near="alto sax, saxophone", remote="clarinet"),
    "Steel Drum": _styles(exact="steel drums", near="calypso", remote="kalimba"),
    "Surf Rock": _styles(remote="rock, clean guitar"),
    "Synth Pads": _styles(near="warm pad, glass pad, dark pad", remote="ambient"),
    "Synthpop": _styles(near="synthwave", remote="pop"),
    "TR-909 Drum Machine": _styles(remote="techno, house"),
    "Tabla": _styles(remote="raga, tanpura, kalimba"),
    "Tango": _styles(remote="accordion, violin"),
    "Techno": _styles(exact="techno", remote="rumble bass"),
    "Thrash Metal": _styles(near="metal", remote="distorted guitar"),
    "Trance": _styles(exact="trance", remote="supersaw"),
    "Tuba": _styles(near="trombone", remote="french horns"),
    "Ukulele": _styles(remote="nylon guitar, calypso"),
    "Vaporwave": _styles(remote="synthwave, lofi hip hop, fm piano"),
    "Viola Ensemble": _styles(near="viola, strings", remote="string quartet"),
    "Warm Acoustic Guitar": _styles(near="acoustic guitar", remote="nylon guitar, folk"),
    "West Coast Hip Hop": _styles(remote="boom bap, phonk, trap"),
    "Woodwinds": _styles(near="clarinet, flute, oboe"),
}
"""What each word may be brought to, the best first; several, because a studio or a bundle may lack some."""


def bring(word: str, known: Collection[str], *, unlike: str | None = None) -> Style:
    """Brings a word of the paper to the best style that is known.

    Args:
      word: a key of WORDS.
      known: genres and instruments that the model may be asked for.
      unlike: a name that it must not become: that of the pair's other end.
    Raises:
      ValueError: the word is not in the table, or nothing that it could become is known.
    """
    for name, grade in WORDS.get(word, ()):
        if name in known and name != unlike:
            return Style(word=word, name=name, grade=grade)
    raise ValueError(f"got the word {word!r}, for which no style is known; add one to the table WORDS")


def styled_pairs(known: Collection[str]) -> tuple[tuple[Style, Style], ...]:
    """Every pair of the paper with two different styles.

    Where both words would become the same style, the end that loses less becomes its next best.

    Raises:
      ValueError: if a word has no known style.
    """
    pairs = []
    for start, end in PAIRS:
        first, last = bring(start, known), bring(end, known)
        if first.name == last.name:
            first, last = _apart(first, last, known)
        pairs.append((first, last))
    return tuple(pairs)


def _apart(first: Style, last: Style, known: Collection[str]) -> tuple[Style, Style]:
    """Two styles that fell together, brought apart: the move that keeps the better grades."""
    moves = []
    for keep_first in (True, False):
        kept, moved = (first, last) if keep_first else (last, first)
        try:
            other = bring(moved.word, known, unlike=kept.name)
        except ValueError:
            continue
        moves.append((GRADES.index(other.grade), (kept, other) if keep_first else (other, kept)))
    if not moves:
        raise ValueError(f"{first.word!r} and {last.word!r} are both {first.name!r} here; add another to the table WORDS")
    return min(moves, key=lambda move: move[0])[1]
