"""Which stretch of a piece is in which style: sections in codec frames, and the style windows that lie within one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from magenta_rt_py.train.data import SECTION_SLACK_FRAMES, WINDOW_FRAMES, WINDOW_HOP_FRAMES


class Section(NamedTuple):
    """A stretch of a piece in one style.

    Attributes:
      first_frame, end_frame: codec frames, the end excluded.
      genre: a key of the studio's GENRES.
      captions: ways to ask for it.
      instruments: the studio's names of those that play in it.
    """

    first_frame: int
    end_frame: int
    genre: str
    captions: tuple[str, ...]
    instruments: tuple[str, ...]


def sections_of(label: Mapping[str, Any], frames: int) -> tuple[Section, ...]:
    """The sections of a piece of `frames` codec frames, from its label (`PieceLabel.as_dict`)."""
    begins = [section["first_beat"] * label["frames_per_beat"] for section in label["sections"]]
    ends = [*begins[1:], frames]
    return tuple(
        Section(
            first_frame=begin,
            end_frame=end,
            genre=section["genre"],
            captions=tuple(section["captions"]),
            instruments=tuple(section["instruments"]),
        )
        for section, begin, end in zip(label["sections"], begins, ends, strict=True)
    )


def section_of_windows(sections: Sequence[Section], windows: int) -> Int[np.ndarray, " windows"]:
    """For each style window of a piece the section it hears, -1 where it hears two.

    A second of another section does not count: a crossfade begins before it is heard.
    """
    frames = sections[-1].end_frame
    # As window_log_mels does with pad_mode "loop": windows past the end are moved back to end with the piece.
    starts = np.minimum(np.arange(windows) * WINDOW_HOP_FRAMES, max(frames - WINDOW_FRAMES, 0))
    result = np.full(windows, -1)
    for index, section in enumerate(sections):
        inside = starts + SECTION_SLACK_FRAMES >= section.first_frame
        result[inside & (starts + WINDOW_FRAMES <= section.end_frame + SECTION_SLACK_FRAMES)] = index
    return np.zeros_like(result) if len(sections) == 1 else result


def spread_captions(sections: Sequence[Section], count: int) -> tuple[list[str], Int[np.ndarray, " count"]]:
    """`count` captions of a piece, evenly from its sections and in their order, and the section of each.

    A section with fewer captions repeats them.
    """
    shares = np.diff(np.linspace(0, count, len(sections) + 1).round().astype(int))
    texts = [
        section.captions[number % len(section.captions)]
        for section, share in zip(sections, shares, strict=True)
        for number in range(share)
    ]
    return texts, np.repeat(np.arange(len(sections)), shares)
