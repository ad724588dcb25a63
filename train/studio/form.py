"""Form: in which order the parts of a piece come, and which stems and how much of the drums each part has.

Parts begin on bars that are multiples of two, nearly always of four, so that the place in the four-bar phrase means
something.
"""

from typing import NamedTuple

import numpy as np

from magenta_rt_py.train.studio.genre import FOUR_ON_THE_FLOOR
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.style_card import StyleCard

SILENT, TOP, SPARSE, WHOLE = range(4)  # layers of the drums: none, no kick and no snare, the plainest groove, all
PHRASE_BARS = 4
RISE_BARS = 2  # a build lasts so long at the end of its part
SHORTEST_FORM_BARS = 8  # shorter pieces only have "steady"


class Part(NamedTuple):
    """What a part of a form is like.

    Attributes:
      layer: of the drums, SILENT to WHOLE.
      chance: that a stem outside the core is on.
      lead: that the lead is on.
      sheds: also core drums and bass may leave.
      rises: ends in a build.
    """

    layer: int
    chance: float
    lead: float
    sheds: bool = False
    rises: bool = False


PARTS = {
    "intro": Part(SPARSE, 0.3, 0.0),
    "verse": Part(WHOLE, 0.6, 0.35),
    "full": Part(WHOLE, 0.85, 0.75),
    "top": Part(TOP, 0.9, 0.6),
    "break": Part(SILENT, 1.0, 0.8, sheds=True),
    "build": Part(SILENT, 1.0, 0.5, sheds=True, rises=True),
    "bare": Part(WHOLE, 0.15, 0.0),
    "tutti": Part(WHOLE, 1.0, 1.0),
}

# (part, bars), over and over. A piece of thirty seconds sees about the first nine to sixteen bars.
FORMS: dict[str, tuple[tuple[str, int], ...]] = {
    "steady": (("full", 4), ("verse", 4)),
    "steady long": (("full", 8), ("verse", 8)),
    "opening": (("intro", 4), ("verse", 4), ("full", 8), ("verse", 4)),
    "layers": (("bare", 2), ("intro", 2), ("verse", 4), ("full", 8)),
    "song": (("verse", 4), ("full", 4), ("verse", 4), ("full", 4), ("top", 4)),
    "bridge": (("full", 4), ("top", 4), ("full", 8)),
    "club": (("intro", 4), ("verse", 4), ("full", 4), ("build", 4), ("full", 8)),
    "drop": (("full", 4), ("build", 4), ("full", 8), ("break", 4)),
    "rest": (("full", 4), ("break", 4), ("full", 8)),
    "tutti": (("tutti", 4),),  # for transitions, where each stem of a style must be there to be handed over
    "short drop": (("full", 6), ("build", 2), ("full", 8)),
}

# The forms that a kind of music draws from. Half of the pieces stay as they are for eight bars: repetition is the first
# thing that a small model can learn of form.
FAMILIES: dict[str, tuple[str, ...]] = {
    "dance": (*("steady long",) * 5, "steady", "steady", "club", "drop", "short drop", "short drop", "layers", "opening"),
    "band": (*("steady long",) * 4, "steady", "steady", "song", "song", "bridge", "opening", "rest", "layers"),
    "loop": (*("steady long",) * 4, "steady", "steady", "layers", "opening", "bridge"),
    "still": (*("steady long",) * 3, "steady", "opening", "layers"),
}
FAMILY_OF = {  # where kick, ducking and cymbals mislead; others are told apart by those
    "drum and bass": "dance",
    "dubstep": "dance",
    "electro": "dance",
    "psytrance": "dance",
    "uk garage": "dance",
    "pop": "band",
    "big band": "band",
    "blues": "band",
    "celtic": "band",
    "country": "band",
    "gospel": "band",
    "salsa": "band",
    "soul": "band",
    "synthwave": "band",
}


def family(genre: str) -> str:
    """Which kind of music a genre is: "dance", "band", "loop" or "still" (without drums)."""
    spec = GENRES[genre]
    if spec.kit is None or not spec.drums:
        return "still"
    if genre in FAMILY_OF:
        return FAMILY_OF[genre]
    if any(groove.get("kick") == FOUR_ON_THE_FLOOR for groove in spec.drums) and spec.duck >= 0.3:
        return "dance"
    return "band" if spec.crash else "loop"


def forms_of(genre: str, bars: int) -> tuple[str, ...]:
    """The forms that a genre's pieces of this length draw from; what comes twice comes twice as often."""
    return FAMILIES[family(genre)] if bars >= SHORTEST_FORM_BARS else ("steady",)


class Section(NamedTuple):
    """Bars that share an arrangement.

    Attributes:
      start, end: bars, end excluded.
      part: a key of PARTS.
      stems: those that are on.
      layer: of the drums.
      rises: ends in a build.
    """

    start: int
    end: int
    part: str
    stems: frozenset[str]
    layer: int
    rises: bool

    @property
    def rise_start(self) -> int:
        """The bar where the build begins; `end` where there is none."""
        return max(self.start, self.end - RISE_BARS) if self.rises else self.end

    def drums_on(self, bar: int) -> bool:
        """Whether drums play in this bar."""
        return "drums" in self.stems and (self.layer > SILENT or bar >= self.rise_start)


def arrange(card: StyleCard, rng: np.random.Generator) -> list[Section]:
    """The sections of a piece.

    Core stems leave only in parts that shed; every other stem is on at least once. A solo or a single stem never rests.
    """
    if card.kind != "full":
        return [
            Section(start, min(start + PHRASE_BARS, card.bars), "full", frozenset(card.stems), WHOLE, False)
            for start in range(0, card.bars, PHRASE_BARS)
        ]
    spans = _spans(card)
    plan = [_stems_on(card, PARTS[part], rng) for part, _, _ in spans]
    _let_all_be_heard(card, spans, plan, rng)
    return [
        Section(start, end, part, frozenset(stems), PARTS[part].layer, PARTS[part].rises)
        for (part, start, end), stems in zip(spans, plan, strict=True)
    ]


def _spans(card: StyleCard) -> list[tuple[str, int, int]]:
    spans, start = [], 0
    while start < card.bars:
        for part, bars in FORMS[card.form]:
            if start < card.bars:
                spans.append((part, start, min(start + bars, card.bars)))
                start += bars
    return spans


def _stems_on(card: StyleCard, part: Part, rng: np.random.Generator) -> set[str]:
    stems = set()
    for stem in card.stems:
        drawn = rng.random()
        core = stem in card.spec.core
        if stem == "drums":
            on = part.layer > SILENT or part.rises
        elif core:
            on = not (part.sheds and stem == "bass")
        else:
            on = drawn < (part.lead if stem == "lead" else part.chance)
        if on:
            stems.add(stem)
    return stems or set(card.stems)


def _let_all_be_heard(
    card: StyleCard, spans: list[tuple[str, int, int]], plan: list[set[str]], rng: np.random.Generator
) -> None:
    """Turns each stem on somewhere, in a section of which the piece keeps all if there is one."""
    whole = [index for index, (_, _, end) in enumerate(spans) if end * card.bar_samples <= card.samples] or [0]
    for stem in card.stems:
        if not any(stem in plan[index] for index in whole):
            plan[whole[-1 - int(rng.integers((len(whole) + 1) // 2))]].add(stem)
