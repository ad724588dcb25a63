"""The style towers' training set, from rendered shards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from magenta_rt_py.train import studio
from magenta_rt_py.train.starter.render import Shard
from magenta_rt_py.train.starter.sections import Section, section_of_windows, sections_of
from magenta_rt_py.train.studio.captions import is_held_out
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.vocabulary import WORDS
from magenta_rt_py.train.style_data import Part, StyleDataset

WINDOWS_PER_SECTION_IN_STYLE_TRAINING = 3
"""Windows of a section that the style towers train on; neighbours overlap by eight of ten seconds and add little."""


def style_dataset(shards: Sequence[Shard]) -> StyleDataset:
    """The style towers' training set: windows that hear one section each, its captions, genre and instruments.

    What the set calls a piece is a section here: windows in which two styles meet have no caption.
    """
    genres = list(studio.STARTER_GENRES)
    log_mels, owners, sections = [], [], []
    for shard in shards:
        frames = shard.log_energies.shape[1]
        chosen = []
        for row, label in enumerate(shard.labels):
            own = sections_of(label, frames)
            heard = section_of_windows(own, shard.log_mels.shape[1])
            for number, section in enumerate(own):
                windows = np.flatnonzero(heard == number)
                if len(windows):
                    spread = np.linspace(0, len(windows) - 1, WINDOWS_PER_SECTION_IN_STYLE_TRAINING).round().astype(int)
                    few = np.unique(windows[spread])
                    chosen += [(row, window) for window in few]
                    owners += [len(sections)] * len(few)
                    sections.append(section)
        rows, windows = (np.array(column) for column in zip(*chosen, strict=True))
        log_mels.append(shard.log_mels[rows, windows])
    return StyleDataset(
        log_mels=log_mels,
        captions=[section.captions for section in sections],
        piece_of_window=np.array(owners),
        genre=np.array([genres.index(section.genre) for section in sections]),
        genre_names=genres,
        parts=[parts_of(section) for section in sections],
    )


def parts_of(section: Section) -> tuple[Part, ...]:
    """What can be said of a section in a word: its genre, its instruments and its drums, each in all its wordings."""
    words = WORDS[section.genre]
    parts = [_part(f"genre {section.genre}", (section.genre, *words.names))]
    parts += [_part(f"instrument {name}", INSTRUMENTS[name].words) for name in section.instruments if name in INSTRUMENTS]
    if words.drums and any(name.endswith(" drums") for name in section.instruments):
        parts.append(_part(f"drums of {section.genre}", ("drums", *words.drums)))
    return tuple(part for part in parts if part.words)


def _part(tag: str, words: tuple[str, ...]) -> Part:
    return Part(tag=tag, words=tuple(word for word in dict.fromkeys(words) if not is_held_out(word)))
