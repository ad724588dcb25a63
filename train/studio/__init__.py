"""The studio: composes and renders labelled training music from rules, so that no recording is needed.

Every piece is a pure function of its seed. The composer writes notes on a grid whose beat is a whole number of
codec frames; the renderer plays them with numpy synthesizers and General MIDI voices; the labels are exact.
"""

from magenta_rt_py.train.studio.captions import captions
from magenta_rt_py.train.studio.cards import StyleCard, sample_card
from magenta_rt_py.train.studio.composer import compose
from magenta_rt_py.train.studio.genre import Genre
from magenta_rt_py.train.studio.genres import FINETUNE_GENRES, GENRES, STARTER_GENRES
from magenta_rt_py.train.studio.held_out import (
    EVALUATION_TEXTS,
    HELD_OUT_CAPTIONS,
    HELD_OUT_PAIRS,
    HELD_OUT_TRANSITIONS,
    MORE_TEXTS,
)
from magenta_rt_py.train.studio.instruments import INSTRUMENTS, Instrument
from magenta_rt_py.train.studio.piece import Piece, PieceLabel, SectionLabel, draw_genre, make_piece, piece_of_card
from magenta_rt_py.train.studio.renderer import Renderer
from magenta_rt_py.train.studio.score import Hit, Note, Score
from magenta_rt_py.train.studio.training_mix import draw_piece
from magenta_rt_py.train.studio.transition import make_transition

__all__ = [
    "EVALUATION_TEXTS",
    "FINETUNE_GENRES",
    "GENRES",
    "HELD_OUT_CAPTIONS",
    "HELD_OUT_PAIRS",
    "HELD_OUT_TRANSITIONS",
    "INSTRUMENTS",
    "MORE_TEXTS",
    "STARTER_GENRES",
    "Genre",
    "Hit",
    "Instrument",
    "Note",
    "Piece",
    "PieceLabel",
    "Renderer",
    "Score",
    "SectionLabel",
    "StyleCard",
    "captions",
    "compose",
    "draw_genre",
    "draw_piece",
    "make_piece",
    "make_transition",
    "piece_of_card",
    "sample_card",
]
