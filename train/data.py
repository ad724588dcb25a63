"""Token shards on disk, and crops drawn from them.

A shard is one `.npz` file (read without pickle) of pieces already turned into codes and style embeddings:

| array | shape | meaning |
|---|---|---|
| codes | [pieces, frames, levels] int16 | codec codes, 25 frames a second |
| frames_per_beat | [pieces] | beat k of a piece falls on frame k * frames_per_beat; 0: no tempo known |
| style_audio | [pieces, windows, dim] float32 | embedding of the 10 s that begin at 2 s * window |
| style_text | [pieces, captions, dim] float32 | embeddings of the piece's captions |
| genre | [pieces] int | any label; only used to find a *wrong* style in evaluation |
| style_audio_codes, style_text_codes | [..., 12] int16, optional | the same, quantised |
| lengths | [pieces] int, optional | frames of a piece that count; the rest is padding |
| section_frames | [pieces, sections] int, optional | frame at which each section begins, -1: no such section |
| caption_sections | [pieces, captions] int, optional | the section that a caption is true of |

A section is a stretch of a piece in one style; without the last two arrays every piece is one section.

A crop is the context and the target of one training example. Missing context is -1 and has a clock of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from magenta_rt_py.lm.clock import clock_features
from magenta_rt_py.lm.vocabulary import MISSING

WINDOW_FRAMES = 250
"""Frames (10 s) that one style embedding of audio hears."""

WINDOW_HOP_FRAMES = 50
"""Frames (2 s) between the beginnings of two style windows."""

SECTION_SLACK_FRAMES = 25
"""Frames (1 s) by which a style window may reach beyond the section it stands for."""

Quantizer = Callable[[Float[np.ndarray, "n dim"]], Int[np.ndarray, "n style_levels"]]
"""Style embeddings -> style codes."""


class Ragged(NamedTuple):
    """Rows of differently many entries, stored end to end.

    Attributes:
      values: all entries, [total, ...].
      starts: where each row begins in `values`, [rows].
      counts: entries of each row, [rows].
    """

    values: np.ndarray
    starts: Int[np.ndarray, " rows"]
    counts: Int[np.ndarray, " rows"]

    def take(self, rows: Int[np.ndarray, " n"], entries: Int[np.ndarray, " n"]) -> np.ndarray:
        """Entry `entries[i]` of row `rows[i]`, [n, ...]."""
        return self.values[self.starts[rows] + entries]

    def row(self, row: int) -> np.ndarray:
        """All entries of one row."""
        return self.values[self.starts[row] : self.starts[row] + self.counts[row]]

    def padded(self, rows: Int[np.ndarray, " n"]) -> tuple[np.ndarray, Bool[np.ndarray, "n longest"]]:
        """All entries of some rows side by side, [n, longest, ...], and which of them the row has; the others repeat."""
        counts = self.counts[rows][:, None]
        entries = np.arange(counts.max(initial=0))[None]
        return self.values[self.starts[rows][:, None] + np.minimum(entries, counts - 1)], entries < counts

    def select(self, rows: Int[np.ndarray, " n"]) -> Ragged:
        """Only the given rows, without what lies between them."""
        counts = self.counts[rows]
        parts = [self.row(int(row)) for row in rows]
        values = np.concatenate(parts) if parts else self.values[:0]
        return Ragged(values=values, starts=np.cumsum(counts) - counts, counts=counts)


class TokenDataset(NamedTuple):
    """Pieces of music as codes, held in memory (an hour takes 3 MB).

    Attributes:
      codes: codes of all pieces; a row of the ragged array is a piece, an entry a frame [levels].
      frames_per_beat: [pieces], 0 where no tempo is known.
      genre: [pieces] label.
      audio_codes: style codes of each piece's 10 s windows.
      text_codes: style codes of each piece's captions.
      text_embeddings: embeddings of the captions, for blends of two.
      sections: first frame of each section of a piece; one section, at 0, for most.
      caption_sections: the section that each caption is true of.
    """

    codes: Ragged
    frames_per_beat: Float[np.ndarray, " pieces"]
    genre: Int[np.ndarray, " pieces"]
    audio_codes: Ragged
    text_codes: Ragged
    text_embeddings: Ragged
    sections: Ragged
    caption_sections: Ragged

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return len(self.frames_per_beat)

    @property
    def levels(self) -> int:
        """Codec levels stored per frame."""
        return self.codes.values.shape[-1]

    def select(self, pieces: Int[np.ndarray, " n"]) -> TokenDataset:
        """Only the given pieces."""
        return TokenDataset(
            codes=self.codes.select(pieces),
            frames_per_beat=self.frames_per_beat[pieces],
            genre=self.genre[pieces],
            audio_codes=self.audio_codes.select(pieces),
            text_codes=self.text_codes.select(pieces),
            text_embeddings=self.text_embeddings.select(pieces),
            sections=self.sections.select(pieces),
            caption_sections=self.caption_sections.select(pieces),
        )

    def split(self, held_out: float = 0.05) -> tuple[TokenDataset, TokenDataset]:
        """Whole pieces for training and, evenly spread over the shards, for evaluation (at least one each)."""
        if self.pieces < 2:
            raise ValueError(f"{self.pieces} piece cannot be split; give held-out shards or more pieces")
        count = min(max(round(held_out * self.pieces), 1), self.pieces - 1)
        chosen = np.linspace(0, self.pieces - 1, count).round().astype(np.int64)
        return self.select(np.setdiff1d(np.arange(self.pieces), chosen)), self.select(chosen)

    def code_counts(self, levels: int, codebook_size: int = 1024) -> Int[np.ndarray, "levels codes"]:
        """How often each code of the first `levels` levels occurs."""
        return np.stack([np.bincount(self.codes.values[:, level], minlength=codebook_size) for level in range(levels)])


def load_dataset(paths: Sequence[str | Path], *, quantize: Quantizer | None = None) -> TokenDataset:
    """Read token shards.

    Args:
      paths: `.npz` files in the format of the module's docstring.
      quantize: style quantiser, needed for shards that hold embeddings without codes.

    Raises:
      ValueError: no path, a missing array, arrays of different numbers of pieces, codes out of range.
    """
    if not paths:
        raise ValueError("no token shards were given; prepare some first")
    shards = [_read_shard(Path(path), quantize) for path in paths]
    lengths = np.concatenate([shard["lengths"] for shard in shards])
    codes = _end_to_end([shard["codes"] for shard in shards])
    if (lengths < codes.counts).any():
        codes = codes._replace(counts=lengths).select(np.arange(len(lengths)))
    return TokenDataset(
        codes=codes,
        frames_per_beat=np.concatenate([shard["frames_per_beat"] for shard in shards]).astype(np.float32),
        genre=np.concatenate([shard["genre"] for shard in shards]).astype(np.int32),
        audio_codes=_end_to_end([shard["style_audio_codes"] for shard in shards]),
        text_codes=_end_to_end([shard["style_text_codes"] for shard in shards]),
        text_embeddings=_end_to_end([shard["style_text"] for shard in shards]),
        sections=_without_padding([shard["section_frames"] for shard in shards]),
        caption_sections=_end_to_end([shard["caption_sections"] for shard in shards]),
    )


def load_split(
    paths: Sequence[str | Path], held_out_paths: Sequence[str | Path] = (), *, quantize: Quantizer | None = None
) -> tuple[TokenDataset, TokenDataset]:
    """Shards to train on and to evaluate on; without shards for the latter, 5 % of the pieces are set aside."""
    dataset = load_dataset(paths, quantize=quantize)
    if held_out_paths:
        return dataset, load_dataset(held_out_paths, quantize=quantize)
    return dataset.split()


def _read_shard(path: Path, quantize: Quantizer | None) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        shard = {name: file[name] for name in file.files}
    needed = ("codes", "frames_per_beat", "style_audio", "style_text")
    missing = [name for name in needed if name not in shard]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; it is no token shard, prepare it again")
    pieces, frames, _ = shard["codes"].shape
    shard.setdefault("genre", np.zeros(pieces, np.int32))
    shard.setdefault("lengths", np.full(pieces, frames))
    shard["lengths"] = shard["lengths"].astype(np.int64)
    shard.setdefault("section_frames", np.zeros((pieces, 1), np.int32))
    shard.setdefault("caption_sections", np.zeros(shard["style_text"].shape[:2], np.int8))
    for name in ("style_audio", "style_text"):
        if f"{name}_codes" not in shard:
            if quantize is None:
                raise ValueError(f"{path} has no {name}_codes; give the style quantizer or prepare it again")
            embeddings = shard[name]
            codes = quantize(embeddings.reshape(-1, embeddings.shape[-1]))
            shard[f"{name}_codes"] = codes.reshape(*embeddings.shape[:2], -1).astype(np.int16)
    wrong = [name for name, value in shard.items() if len(value) != pieces]
    if wrong:
        raise ValueError(f"{path}: codes hold {pieces} pieces but {wrong[0]} holds {len(shard[wrong[0]])}")
    if shard["codes"].min(initial=0) < 0:
        raise ValueError(f"{path}: a code is {shard['codes'].min()}; codes are 0 or more")
    return shard


def _end_to_end(blocks: Sequence[np.ndarray]) -> Ragged:
    """Blocks [rows, entries, ...] of different widths as one ragged array."""
    counts = np.concatenate([np.full(len(block), block.shape[1], np.int64) for block in blocks])
    values = np.concatenate([block.reshape(-1, *block.shape[2:]) for block in blocks])
    return Ragged(values=values, starts=np.cumsum(counts) - counts, counts=counts)


def _without_padding(blocks: Sequence[np.ndarray]) -> Ragged:
    """Blocks [rows, entries] as one ragged array of what is not negative."""
    counts = np.concatenate([(block >= 0).sum(axis=1) for block in blocks]).astype(np.int64)
    values = np.concatenate([block[block >= 0] for block in blocks]).astype(np.int64)
    return Ragged(values=values, starts=np.cumsum(counts) - counts, counts=counts)


@dataclass(frozen=True, kw_only=True)
class CropConfig:
    """Sizes of a crop and the augmentations of the LM's training.

    Differs from the paper (Live Music Models, 2.4: style tokens always from the target's audio): half of the
    crops take their style from a caption, so that a small model hears text prompts in training too.
    """

    # Frames of context, 10 s.
    context_frames: int = 250
    # Frames to predict, 2 s.
    target_frames: int = 50
    # Codec levels of the context.
    context_levels: int = 4
    # Codec levels to predict.
    target_levels: int = 4
    # Style codes read by the encoder.
    style_levels: int = 6
    # Codes of a level.
    codebook_size: int = 1024
    # Share of crops whose target is the piece's first frames: nothing has been heard yet.
    cold_start_probability: float = 0.2
    # Share of crops from a piece's first seconds, where the context is still filling up.
    growing_probability: float = 0.25
    # Share of the crops from pieces with several sections whose target begins at the change, or less than half a
    # target later: the moment at which a player has just turned to another style.
    change_probability: float = 0.6
    # Share of crops whose past is hidden: half of them wholly, half up to a random frame.
    hidden_past_probability: float = 0.2
    # Share of crops that take the style of the audio around the target; the others take a caption's.
    audio_style_probability: float = 0.5
    # Share of captioned crops whose style is the mean of two of the piece's captions.
    caption_blend_probability: float = 0.1
    # Share of crops with the style masked, which makes guidance possible.
    style_dropout: float = 0.1
    # Share of crops without a clock.
    clock_dropout: float = 0.08
    # Share of the others whose context alone has no clock, as after audio of unknown tempo was injected.
    context_clock_dropout: float = 0.04
    # Share of crops with wrong codes in the context, against drift from the model's own mistakes.
    corrupted_crop_probability: float = 0.3
    # Largest share of wrong codes in such a crop.
    largest_corruption: float = 0.25
    # Share of crops that hear another crop's context: what was played so far must not outvote the style.
    foreign_context_probability: float = 0.08

    def plain(self) -> CropConfig:
        """The same sizes without any augmentation, for evaluation."""
        return replace(
            self,
            cold_start_probability=0.0,
            growing_probability=0.0,
            change_probability=0.0,
            hidden_past_probability=0.0,
            caption_blend_probability=0.0,
            style_dropout=0.0,
            clock_dropout=0.0,
            context_clock_dropout=0.0,
            corrupted_crop_probability=0.0,
            foreign_context_probability=0.0,
        )


class Crops(NamedTuple):
    """A batch of training examples.

    Attributes:
      context_codes: what was heard; -1 where missing.
      target_codes: what follows.
      style_codes: -1 where the style is masked.
      context_clock: place in bar and beat of every context frame; zeros where missing or unset.
      target_clock: the same for the target frames; the beat goes on from the context.
    """

    context_codes: Int[np.ndarray, "batch context_frames context_levels"]
    target_codes: Int[np.ndarray, "batch target_frames target_levels"]
    style_codes: Int[np.ndarray, "batch style_levels"]
    context_clock: Float[np.ndarray, "batch context_frames clock"]
    target_clock: Float[np.ndarray, "batch target_frames clock"]


class CropSampler:
    """Random crops for training: `sampler(step)` depends on (seed, step) alone."""

    def __init__(
        self,
        dataset: TokenDataset,
        config: CropConfig,
        *,
        batch_size: int,
        seed: int,
        quantize: Quantizer | None = None,
        genre_weights: Mapping[int, int] | None = None,
    ) -> None:
        """Prepare to draw batches of `batch_size` crops.

        Args:
          dataset: where to draw from; pieces shorter than a target are never drawn.
          config: sizes and augmentations.
          batch_size: crops a batch.
          seed: with the step it fixes everything drawn.
          quantize: style quantiser for blends of two captions; without one there are no blends.
          genre_weights: how many times as often as others the pieces of some genres are drawn, at least 1.
        """
        # A target may begin at any of these frames of a piece; longer pieces are drawn more often.
        places = np.maximum(dataset.codes.counts - config.target_frames + 1, 0)
        if places.sum() == 0:
            raise ValueError(
                f"no piece has the {config.target_frames} frames of a target; the longest of "
                f"{dataset.pieces} has {dataset.codes.counts.max(initial=0)}"
            )
        if dataset.levels < max(config.context_levels, config.target_levels):
            raise ValueError(
                f"the shards hold {dataset.levels} levels, the crops need {max(config.context_levels, config.target_levels)}"
            )
        self._dataset, self._config = dataset, config
        self._batch_size, self._seed, self._quantize = batch_size, seed, quantize
        if any(weight < 1 for weight in (genre_weights or {}).values()):
            raise ValueError(f"got genre_weights {genre_weights}, expected 1 or more; leave a genre out by its pieces")
        self._weights = np.array([(genre_weights or {}).get(int(genre), 1) for genre in dataset.genre])
        self._places, self._cumulative = places, np.cumsum(places * self._weights)

    @property
    def batch_size(self) -> int:
        """Crops a batch."""
        return self._batch_size

    def __call__(self, step: int) -> Crops:
        """The batch of `step`."""
        random = np.random.default_rng((self._seed, step))
        pieces, starts = self._draw_targets(random)
        style = self._draw_style(random, pieces, starts)
        crops = cut_crops(self._dataset, self._config, pieces, starts, style)
        return self._augment(random, crops)

    def _draw_targets(self, random: np.random.Generator) -> tuple[Int[np.ndarray, " batch"], Int[np.ndarray, " batch"]]:
        """Pieces, and the frame of each where the target begins."""
        config, size = self._config, self._batch_size
        place = random.integers(self._cumulative[-1], size=size)
        pieces = np.searchsorted(self._cumulative, place, side="right")
        last = self._places[pieces] - 1
        before = self._cumulative[pieces] - self._places[pieces] * self._weights[pieces]
        uniform = (place - before) // self._weights[pieces]
        growing = random.integers(0, np.minimum(last, config.context_frames) + 1)
        kind = random.random(size)
        cold = kind < config.cold_start_probability
        early = kind < config.cold_start_probability + config.growing_probability
        starts = np.where(cold, 0, np.where(early, growing, uniform))
        sections = self._dataset.sections
        changing = (sections.counts[pieces] > 1) & (random.random(size) < config.change_probability)
        # Any section but the first; where there is no other, this is not used.
        entry = np.minimum(random.integers(1, np.maximum(sections.counts[pieces], 2)), sections.counts[pieces] - 1)
        after = random.integers(0, max(config.target_frames // 2, 1), size)
        return pieces, np.where(changing, np.minimum(sections.take(pieces, entry) + after, last), starts)

    def _draw_style(
        self, random: np.random.Generator, pieces: Int[np.ndarray, " batch"], starts: Int[np.ndarray, " batch"]
    ) -> Int[np.ndarray, "batch style_levels"]:
        """Style codes from audio or caption, sometimes blended, sometimes masked."""
        config, dataset, size = self._config, self._dataset, self._batch_size
        heard = target_sections(dataset, config.target_frames, pieces, starts)
        from_audio = random.random(size) < config.audio_style_probability
        first = self._draw_captions(random, pieces, np.where(heard.straddles, heard.first, heard.main))
        second = self._draw_captions(random, pieces, np.where(heard.straddles, heard.last, heard.main))
        blended = heard.straddles | (random.random(size) < config.caption_blend_probability)
        dropped = random.random(size) < config.style_dropout
        text = dataset.text_codes.take(pieces, first)
        if self._quantize is None:
            from_audio |= heard.straddles
        elif (blended & ~from_audio).any():
            rows = np.flatnonzero(blended & ~from_audio)
            one, other = (dataset.text_embeddings.take(pieces[rows], entry[rows]) for entry in (first, second))
            share = np.where(heard.straddles, heard.share_of_last, 0.5)[rows, None]
            text[rows] = self._quantize(((1.0 - share) * one + share * other).astype(np.float32))
        audio = audio_style_codes(dataset, config, pieces, starts)
        style = np.where(from_audio[:, None], audio, text)[:, : config.style_levels]
        return np.where(dropped[:, None], MISSING, style).astype(np.int32)

    def _draw_captions(
        self, random: np.random.Generator, pieces: Int[np.ndarray, " batch"], sections: Int[np.ndarray, " batch"]
    ) -> Int[np.ndarray, " batch"]:
        """A random caption of one section of each piece."""
        fitting = captions_of_sections(self._dataset, pieces, sections)
        drawn = random.integers(0, fitting.sum(axis=1))
        return (fitting.cumsum(axis=1) > drawn[:, None]).argmax(axis=1)

    def _augment(self, random: np.random.Generator, crops: Crops) -> Crops:
        """Foreign context, wrong codes, hidden past, dropped clock."""
        config, size = self._config, self._batch_size
        crops = exchange_contexts(crops, random.random(size) < config.foreign_context_probability)
        rate = np.where(
            random.random(size) < config.corrupted_crop_probability,
            random.random(size) * config.largest_corruption,
            0.0,
        )
        shape = crops.context_codes.shape
        wrong = (random.random(shape) < rate[:, None, None]) & (crops.context_codes != MISSING)
        noise = random.integers(0, config.codebook_size, shape)
        crops = crops._replace(context_codes=np.where(wrong, noise, crops.context_codes).astype(np.int32))
        hidden = random.random(size) < config.hidden_past_probability
        wholly = random.random(size) < 0.5
        cut = np.where(wholly, config.context_frames, random.integers(0, max(config.context_frames, 1), size))
        crops = hide_past(crops, np.where(hidden, cut, 0))
        kept = random.random(size) >= config.clock_dropout
        context_kept = kept & (random.random(size) >= config.context_clock_dropout)
        return crops._replace(
            context_clock=crops.context_clock * context_kept[:, None, None].astype(np.float32),
            target_clock=crops.target_clock * kept[:, None, None].astype(np.float32),
        )


def cut_crops(
    dataset: TokenDataset,
    config: CropConfig,
    pieces: Int[np.ndarray, " batch"],
    starts: Int[np.ndarray, " batch"],
    style_codes: Int[np.ndarray, "batch style_levels"],
    *,
    clock_shift_beats: float = 0.0,
) -> Crops:
    """Crops whose targets begin at frame `starts` of `pieces`, unaugmented.

    Args:
      dataset: where to cut.
      config: sizes.
      pieces: index of each crop's piece.
      starts: first target frame of each crop.
      style_codes: the crops' style.
      clock_shift_beats: put into the clock on purpose, to measure whether a model reads it.
    """
    frames = starts[:, None] + np.arange(-config.context_frames, config.target_frames)
    known = frames >= 0
    codes = dataset.codes.values[dataset.codes.starts[pieces][:, None] + np.maximum(frames, 0)]
    codes = np.where(known[..., None], codes, MISSING).astype(np.int32)
    clock = frame_clock(frames, dataset.frames_per_beat[pieces], shift_beats=clock_shift_beats)
    clock = clock * known[..., None].astype(np.float32)
    context = config.context_frames
    return Crops(
        context_codes=codes[:, :context, : config.context_levels],
        target_codes=codes[:, context:, : config.target_levels],
        style_codes=style_codes,
        context_clock=clock[:, :context],
        target_clock=clock[:, context:],
    )


def frame_clock(
    frames: Int[np.ndarray, "batch frames"],
    frames_per_beat: Float[np.ndarray, " batch"],
    *,
    shift_beats: float = 0.0,
) -> Float[np.ndarray, "batch frames clock"]:
    """Clock features of frames counted from a piece's first beat; zeros where the tempo is unknown."""
    known = frames_per_beat > 0
    safe = np.where(known, frames_per_beat, 1.0).astype(np.float64)
    beats = frames / safe[:, None] + shift_beats
    # 25 frames a second: 1500 frames a minute.
    features = clock_features(beats, 1500.0 / safe)
    return features * known[:, None, None].astype(np.float32)


class TargetSections(NamedTuple):
    """Which sections of their pieces targets lie in.

    Attributes:
      first, last: sections of the target's first and last frame.
      share_of_last: share of the target's frames in `last`; 1 where it is the only one.
    """

    first: Int[np.ndarray, " batch"]
    last: Int[np.ndarray, " batch"]
    share_of_last: Float[np.ndarray, " batch"]

    @property
    def main(self) -> Int[np.ndarray, " batch"]:
        """The section that most of the target lies in (of the first and the last one)."""
        return np.where(self.share_of_last >= 0.5, self.last, self.first)

    @property
    def straddles(self) -> Bool[np.ndarray, " batch"]:
        """Whether the target is neither nearly all in one section nor nearly all in the other."""
        return (self.share_of_last > 0.2) & (self.share_of_last < 0.8)


def target_sections(
    dataset: TokenDataset, frames: int, pieces: Int[np.ndarray, " batch"], starts: Int[np.ndarray, " batch"]
) -> TargetSections:
    """Where targets of `frames` frames that begin at `starts` lie in their pieces."""
    begins, there = dataset.sections.padded(pieces)
    ends = starts + frames
    first = (there & (begins <= starts[:, None])).sum(axis=1) - 1
    last = (there & (begins < ends[:, None])).sum(axis=1) - 1
    inside = np.minimum(ends - dataset.sections.take(pieces, last), frames)
    return TargetSections(first=first, last=last, share_of_last=inside / frames)


def captions_of_sections(
    dataset: TokenDataset, pieces: Int[np.ndarray, " batch"], sections: Int[np.ndarray, " batch"]
) -> Bool[np.ndarray, "batch captions"]:
    """Which captions of the pieces are true of these sections; all of a piece's where the section has none of its own."""
    sections_of_captions, there = dataset.caption_sections.padded(pieces)
    own = there & (sections_of_captions == sections[:, None])
    return np.where(own.any(axis=1, keepdims=True), own, there)


def count_windows(frames: Any) -> Any:
    """Style windows that fit into so many frames, at least one; of one number or of an array of them."""
    return np.maximum(frames - WINDOW_FRAMES, 0) // WINDOW_HOP_FRAMES + 1


def audio_style_codes(
    dataset: TokenDataset,
    config: CropConfig,
    pieces: Int[np.ndarray, " batch"],
    starts: Int[np.ndarray, " batch"],
) -> Int[np.ndarray, "batch stored_levels"]:
    """Style codes of the 10 s window whose middle lies nearest to the target's, inside the piece.

    Where the target lies in one section, the window does too, if the section has room for one.
    """
    middle = starts + config.target_frames / 2 - WINDOW_FRAMES / 2
    last = np.minimum(count_windows(dataset.codes.counts[pieces]), dataset.audio_codes.counts[pieces]) - 1
    window = np.round(middle / WINDOW_HOP_FRAMES).astype(np.int64)
    heard = target_sections(dataset, config.target_frames, pieces, starts)
    begin, end = _section_span(dataset, pieces, heard.main)
    earliest = -(-(begin - SECTION_SLACK_FRAMES) // WINDOW_HOP_FRAMES)
    latest = (end + SECTION_SLACK_FRAMES - WINDOW_FRAMES) // WINDOW_HOP_FRAMES
    confined = ~heard.straddles & (earliest <= latest)
    window = np.where(confined, np.minimum(np.maximum(window, earliest), latest), window)
    return dataset.audio_codes.take(pieces, np.clip(window, 0, last))


def _section_span(
    dataset: TokenDataset, pieces: Int[np.ndarray, " batch"], sections: Int[np.ndarray, " batch"]
) -> tuple[Int[np.ndarray, " batch"], Int[np.ndarray, " batch"]]:
    """First frame of sections, and the frame after their last."""
    final = sections == dataset.sections.counts[pieces] - 1
    following = dataset.sections.take(pieces, np.where(final, sections, sections + 1))
    return dataset.sections.take(pieces, sections), np.where(final, dataset.codes.counts[pieces], following)


def exchange_contexts(crops: Crops, chosen: Bool[np.ndarray, " batch"]) -> Crops:
    """The chosen crops with the context codes of the next crop of the batch, on their own clock, where both have any."""
    own, other = crops.context_codes, np.roll(crops.context_codes, -1, axis=0)
    usable = chosen[:, None, None] & (own != MISSING) & (other != MISSING)
    return crops._replace(context_codes=np.where(usable, other, own).astype(np.int32))


def hide_past(crops: Crops, frames: Int[np.ndarray, " batch"]) -> Crops:
    """The crops with their first `frames` context frames missing, clock included."""
    visible: Bool[np.ndarray, "batch context"] = np.arange(crops.context_codes.shape[1])[None] >= frames[:, None]
    return crops._replace(
        context_codes=np.where(visible[..., None], crops.context_codes, MISSING).astype(np.int32),
        context_clock=crops.context_clock * visible[..., None].astype(np.float32),
    )
