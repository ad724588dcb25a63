"""Fills at the end of phrases and sections, and builds: what drums do to say that something new begins."""

from typing import NamedTuple

import numpy as np

from magenta_rt_py.train.studio.drums import KITS
from magenta_rt_py.train.studio.genre import Genre, Groove
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, Hit
from magenta_rt_py.train.studio.seeds import choose

STANDS_FOR = {  # a fill's voice -> the voices of a kit that can play it, the likeliest first
    "snare": ("snare", "clap", "rim", "conga", "hat", "taiko", "timpani"),
    "tom": ("tom", "conga", "taiko", "timpani", "snare", "clap", "rim"),
    "kick": ("kick", "taiko", "timpani", "tom"),
    "hat": ("hat", "shaker", "ride", "tambourine", "snare"),
}


class Fill(NamedTuple):
    """A fill in the last bar of a phrase.

    Attributes:
      groove: strings that span the whole bar; only the last part of them has hits.
      clears: beat of the bar from which the groove itself rests; 4 where it goes on under the fill.
    """

    groove: Groove
    clears: float = float(BEATS_PER_BAR)


SMALL = (  # the last beat of a phrase
    Fill({"snare": "............x.gx"}),
    Fill({"snare": "..............xx"}),
    Fill({"kick": "..............x."}),
    Fill({"tom": "............x.x."}),
    Fill({"hat": "............xxxx"}),
    Fill({"snare": "...............x", "kick": "............x.x."}),
    Fill({}, clears=3.5),
)
LARGE = (  # the last half of a section
    Fill({"snare": "............xxXX"}),
    Fill({"snare": "........x.x.xxXX"}, clears=2.0),
    Fill({"snare": "........xxxx....", "tom": "............xxXX"}, clears=2.0),
    Fill({"tom": "........x.xxx.xX"}, clears=2.0),
    Fill({"kick": "........X.X.XXXX"}, clears=2.0),
    Fill({"snare": "..........x.x.xx", "kick": "........x.x.x.x."}, clears=3.0),
    Fill({}, clears=3.0),
)
TRIPLETS = (Fill({"snare": ".........xxX"}), Fill({"snare": "......x.xxxX"}, clears=2.0), Fill({}, clears=3.0))
RISER = "riser"  # voice of a build that no kit has: noise as long as the build
RISER_VELOCITY = 0.35
BUILD_STEPS = (4, 8)  # a bar, in the first and in the second half of a build; twice that in the last half bar


def fills_of(spec: Genre, rng: np.random.Generator) -> tuple[Fill, Fill]:
    """Draws the fill that ends a piece's phrases and the one that ends its sections."""
    triplets = len(next(iter(spec.drums[0].values()))) % 3 == 0
    small, large = (TRIPLETS[:1], TRIPLETS) if triplets else (SMALL, LARGE)
    own = (Fill(spec.fill),) * 3 if spec.fill else ()
    return choose(rng, small), choose(rng, own + large)


def voice_for(kit: str, voice: str) -> str:
    """The voice of a kit that plays this part of a fill: itself, one that stands for it, or else the kit's last."""
    names = (voice, *STANDS_FOR.get(voice, ()))
    return next((name for name in names if name in KITS[kit]), list(KITS[kit])[-1])


def build_hits(kit: str, start_bar: int, end_bar: int) -> list[Hit]:
    """A roll that doubles its speed and swells over a riser, up to the bar where the drums come back."""
    if end_bar <= start_bar:
        return []
    voice = voice_for(kit, "snare")
    start, beats = float(start_bar * BEATS_PER_BAR), (end_bar - start_bar) * BEATS_PER_BAR
    hits, place = [Hit(start, RISER, RISER_VELOCITY)], 0.0
    while place < beats:
        share = place / beats
        hits.append(Hit(start + place, voice, round(0.3 + 0.65 * share, 3)))
        per_bar = BUILD_STEPS[share >= 0.5] * (2 if place >= beats - BEATS_PER_BAR / 2 else 1)
        place += BEATS_PER_BAR / per_bar
    return hits
