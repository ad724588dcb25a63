"""The studio: composes and renders labelled training music from rules, so that no recording is needed.

Every piece is a pure function of its seed. The composer writes notes on a grid whose beat is a whole number of
codec frames; the renderer plays them with numpy synthesizers and General MIDI voices; the labels are exact.
"""

from magenta_rt_py.train.studio.captions import captions
from magenta_rt_py.train.studio.cards import StyleCard, sample_card
from magenta_rt_py.train.studio.composer import compose
from magenta_rt_py.train.studio.genre import Genre
from magenta_rt_py.train.studio.genres import GENRES, STARTER_GENRES
from magenta_rt_py.train.studio.piece import Piece, PieceLabel, make_piece
from magenta_rt_py.train.studio.renderer import Renderer
from magenta_rt_py.train.studio.score import Hit, Note, Score

__all__ = [
    "GENRES",
    "STARTER_GENRES",
    "Genre",
    "Hit",
    "Note",
    "Piece",
    "PieceLabel",
    "Renderer",
    "Score",
    "StyleCard",
    "captions",
    "compose",
    "make_piece",
    "sample_card",
]
