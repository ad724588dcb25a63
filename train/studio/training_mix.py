"""Which pieces the training mix has: arrangements, soloists, single stems and transitions."""

import numpy as np

from magenta_rt_py.train.studio.piece import Piece, make_piece
from magenta_rt_py.train.studio.seeds import generator
from magenta_rt_py.train.studio.transition import draw_second, make_transition

SHARES = {"full": 0.7, "solo": 0.1, "stem": 0.08, "transition": 0.12}
SHORTEST_TRANSITION_SECONDS = 16.0  # shorter pieces are whole arrangements instead


def draw_kind(seed: int) -> str:
    """The kind of the training piece of a seed: a key of SHARES."""
    kinds = tuple(SHARES)
    return kinds[int(generator(seed, "kind").choice(len(kinds), p=np.array(list(SHARES.values()))))]


def draw_piece(seed: int, *, genre: str, seconds: float = 30.0) -> Piece:
    """One piece of the training mix: the seed decides its kind; held-out pairs never come.

    Args:
      seed: any integer >= 0.
      genre: a key of GENRES; of a transition, the style that it leaves.
      seconds: exact length, > 0.
    Raises:
      ValueError: on an unknown genre or a length that is not positive.
      SoundFontMissingError: if the piece needs a sound font that is not installed.
    """
    kind = draw_kind(seed)
    if kind != "transition":
        return make_piece(seed, genre=genre, seconds=seconds, kind=kind)
    if seconds < SHORTEST_TRANSITION_SECONDS:
        return make_piece(seed, genre=genre, seconds=seconds)
    second = draw_second(genre, generator(seed, "second genre"))
    return make_transition(seed, genres=(genre, second), seconds=seconds)
