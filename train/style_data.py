"""What the style model is trained on: log-mel windows with captions, and batches of them."""

import dataclasses
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import sentencepiece
from jaxtyping import Bool, Float, Int, Shaped

from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.style.embedder import AnyArray
from magenta_rt_py.style.tokenizer import BOS_ID, PAD_ID, Tokenizer
from magenta_rt_py.train.style_augmentation import LogMelAugmentation

_SHORT_TOKENS = 24  # most batches cut captions to this: nine in ten are shorter, and text costs in proportion
_LONG_TEXT_STEPS = 8  # every so many steps captions are whole, so that late positions are learned too
_PART_TOKENS = 12  # length to which the words of single parts are cut
_JOINS = ("{a} {b}", "{b} {a}", "{a} with {b}", "{b} with {a}", "{a}, {b}", "{b}, {a}", "{a} and {b}", "{a} featuring {b}")
_BROAD_SHARE = 0.1  # a caption shared by this share of a genre's pieces, and by no other genre, describes the genre


class Part(NamedTuple):
    """One thing that is true of a piece and can be said in a word: its genre, an instrument.

    Attributes:
      tag: the same for all pieces of which it is true.
      words: ways to say it.
    """

    tag: str
    words: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StyleDataset:
    """Audio windows and the captions of the pieces they come from.

    Attributes:
      log_mels: log-mels of clips, float16 or float32 [windows, stft_frames, mel_bands]; memory-mapped is fine, and so
        is a list of such arrays (shards), taken as if joined.
      captions: for each piece, at least one text.
      piece_of_window: for each window, the index of its piece.
      genre: for each piece, a label; None when unknown. Used for false negatives and metrics, never as a target.
      genre_names: names of the labels as a person would type them, for the metric genre_top1.
      parts: for each piece, what captions can be put together of, and whose tags the towers learn; empty: there are no
        such captions and tags.
    """

    log_mels: np.ndarray | Sequence[np.ndarray]
    captions: Sequence[Sequence[str]]
    piece_of_window: Int[np.ndarray, " windows"]
    genre: Int[np.ndarray, " pieces"] | None = None
    genre_names: Sequence[str] = ()
    parts: Sequence[Sequence[Part]] = ()

    def __post_init__(self) -> None:
        """Refuses captions, windows and labels that do not belong together."""
        windows = sum(len(shard) for shard in self.shards)
        if windows != len(self.piece_of_window):
            raise ValueError(f"{windows} windows but {len(self.piece_of_window)} piece numbers; give one per window")
        if windows == 0 or self.piece_of_window.min() < 0 or self.piece_of_window.max() >= len(self.captions):
            raise ValueError(f"piece_of_window must name pieces 0..{len(self.captions) - 1} and not be empty")
        if self.genre is not None and len(self.genre) != len(self.captions):
            raise ValueError(f"{len(self.genre)} genre labels for {len(self.captions)} pieces; give one per piece")
        if self.parts and len(self.parts) != len(self.captions):
            raise ValueError(f"{len(self.parts)} lists of parts for {len(self.captions)} pieces; give one per piece")
        if any(not parts for parts in self.parts):
            raise ValueError("a piece has no parts; give each at least one, or none to any")
        without = [piece for piece, texts in enumerate(self.captions) if not any(text.strip() for text in texts)]
        if without:
            raise ValueError(f"{len(without)} pieces have no caption, the first is piece {without[0]}; leave them out")

    @property
    def shards(self) -> Sequence[np.ndarray]:
        """The log-mels as a list of arrays."""
        return [self.log_mels] if isinstance(self.log_mels, np.ndarray) else self.log_mels

    def windows(self, indices: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "rows stft_frames bands"]:
        """Some windows as float32, in the order asked for."""
        ends = np.cumsum([len(shard) for shard in self.shards])
        which = np.searchsorted(ends, indices, side="right")
        starts = ends - np.array([len(shard) for shard in self.shards])
        pairs = zip(which, indices - starts[which], strict=True)
        return np.stack([self.shards[shard][row] for shard, row in pairs]).astype(np.float32)


class StyleBatch(NamedTuple):
    """Audio-text pairs of one step.

    log_mels: clips, not yet standardised. token_ids, present: one caption each. not_negative: [i, j] is True where
    caption j also fits clip i. part_ids, part_present: for the first rows of the batch the two words that their
    captions join, said alone; no rows where the data set has no parts. tags: which of the data set's tags are true of a
    clip's piece; claims: which of them its caption says, none where that is not known; no columns without parts.
    """

    log_mels: Float[AnyArray, "batch stft_frames bands"]
    token_ids: Int[AnyArray, "batch tokens"]
    present: Bool[AnyArray, "batch tokens"]
    not_negative: Bool[AnyArray, "batch batch"]
    part_ids: Int[AnyArray, "composed 2 part_tokens"]
    part_present: Bool[AnyArray, "composed 2 part_tokens"]
    tags: Bool[AnyArray, "batch tags"]
    claims: Bool[AnyArray, "batch tags"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleBatchConfig:
    """What a batch is made of."""

    # Share of rows whose caption joins two words for two parts of the piece ("techno with flute").
    composed_share: float = 0.25
    # Share of rows whose caption is one word for one part ("flute").
    single_share: float = 0.15
    # Share of rows that are drawn as several pieces of few genres, so that a genre's pieces are told apart too.
    same_genre_share: float = 0.4
    # Pieces of a genre among these.
    same_genre_pieces: int = 4
    # Share of the other captions that lose words, each with this chance: what is left must do.
    word_loss_share: float = 0.3
    word_loss: float = 0.2


class StylePairs(NamedTuple):
    """Held-out clips, one caption each, their genre (or, without labels, their piece) and what else is true of them."""

    log_mels: Float[np.ndarray, "rows stft_frames bands"]
    captions: list[str]
    labels: Shaped[np.ndarray, " rows"]
    parts: list[tuple[Part, ...]]


class StyleSampler:
    """Random batches that depend on (seed, step) only, so that a resumed run sees what it would have seen."""

    def __init__(
        self,
        dataset: StyleDataset,
        tokenizer: Tokenizer,
        *,
        held_out_fraction: float,
        seed: int,
        batches: StyleBatchConfig = StyleBatchConfig(),
        augment: LogMelAugmentation | None = None,
    ) -> None:
        """Splits the pieces into training and held-out ones; at least one of each unless the fraction is 0."""
        self.dataset, self.tokenizer, self._seed = dataset, tokenizer, seed
        self._batches, self._augment = batches, augment
        pieces = np.unique(dataset.piece_of_window)
        shuffled = np.random.default_rng((seed, 1)).permutation(pieces)
        held_out = 0 if held_out_fraction == 0 else max(1, round(len(pieces) * held_out_fraction))
        if held_out >= len(pieces):
            raise ValueError(f"{len(pieces)} pieces leave none to train on after {held_out} held-out ones; add pieces")
        self.held_out_pieces, self.training_pieces = shuffled[:held_out], shuffled[held_out:]
        order = np.argsort(dataset.piece_of_window, kind="stable")
        bounds = np.searchsorted(dataset.piece_of_window[order], np.arange(len(dataset.captions) + 1))
        self._windows_of = [order[start:end] for start, end in itertools.pairwise(bounds)]
        self._texts = [[text.strip().lower() for text in texts if text.strip()] for texts in dataset.captions]
        self._text_sets = [set(texts) for texts in self._texts]
        self._genre_of_text = _broad_captions(self._texts, dataset.genre)
        self._tags_of = [frozenset(part.tag for part in parts) for parts in dataset.parts] or None
        self.tags = tuple(sorted(frozenset().union(*(self._tags_of or ()))))
        self._column_of = {tag: column for column, tag in enumerate(self.tags)}

    def batch(self, size: int, step: int) -> StyleBatch:
        """One window and one caption each of `size` random training pieces."""
        random = np.random.default_rng((self._seed, 2, step))
        composed = round(self._batches.composed_share * size) if self._tags_of else 0
        pieces = self._draw_pieces(size, random)
        if self._tags_of:
            # Pieces of which two things can be said come first.
            many = np.array([len(self._tags_of[piece]) > 1 for piece in pieces])
            pieces = pieces[np.argsort(~many, kind="stable")]
        windows, texts = self._draw(pieces, random)
        texts = [self._lose_words(text, random) for text in texts]
        claims, parts = self._name_parts(pieces, texts, composed, random)
        log_mels = self.dataset.windows(windows)
        # A later start is a rotation: nearly free.
        shifts = random.integers(log_mels.shape[1], size=size)
        log_mels = np.stack([np.roll(clip, shift, axis=0) for clip, shift in zip(log_mels, shifts, strict=True)])
        if self._augment is not None:
            log_mels = self._augment(log_mels, random)
        ids, present = self.tokenizer.encode(texts)
        length = ids.shape[1] if step % _LONG_TEXT_STEPS == 0 else min(_SHORT_TOKENS, ids.shape[1])
        part_ids, part_present = self.tokenizer.encode(parts)
        short = min(_PART_TOKENS, ids.shape[1])
        return StyleBatch(
            log_mels=log_mels,
            token_ids=ids[:, :length],
            present=present[:, :length],
            not_negative=self._not_negative(pieces, texts, claims),
            part_ids=part_ids[:, :short].reshape(composed, 2, short),
            part_present=part_present[:, :short].reshape(composed, 2, short),
            tags=self._tag_table([self._tags_of[piece] for piece in pieces] if self._tags_of else [frozenset()] * size),
            claims=self._tag_table(claims),
        )

    def _tag_table(self, rows: Sequence[frozenset[str]]) -> Bool[np.ndarray, "rows tags"]:
        """Sets of tags as rows of booleans, in the order of `tags`."""
        table = np.zeros((len(rows), len(self.tags)), bool)
        for row, own in zip(table, rows, strict=True):
            row[[self._column_of[tag] for tag in own]] = True
        return table

    def _draw_pieces(self, size: int, random: np.random.Generator) -> Int[np.ndarray, " size"]:
        """Training pieces, some of them several of one genre."""
        labels = self.dataset.genre
        few = round(self._batches.same_genre_share * size)
        pieces = random.choice(self.training_pieces, size, replace=size > len(self.training_pieces))
        if few < 2 or labels is None:
            return pieces
        genre = labels[self.training_pieces]
        chosen: list[int] = []
        while len(chosen) < few:
            own = self.training_pieces[genre == random.choice(genre)]
            chosen += random.permutation(own)[: self._batches.same_genre_pieces].tolist()
        pieces[:few] = chosen[:few]
        return random.permutation(pieces)

    def _name_parts(
        self, pieces: np.ndarray, texts: list[str], composed: int, random: np.random.Generator
    ) -> tuple[list[frozenset[str]], list[str]]:
        """Replaces captions, in `texts`, by ones made of parts: of two in the first rows, of one in the next.

        Returns:
          what each caption claims (tags; empty for the captions that the data set gave) and, end to end, the words
          that the first captions join.
        """
        claims: list[frozenset[str]] = [frozenset()] * len(texts)
        words: list[str] = []
        singles = round(self._batches.single_share * len(texts)) if self._tags_of else 0
        for row in range(min(composed + singles, len(texts))):
            parts = self.dataset.parts[pieces[row]]
            count = 2 if row < composed else 1
            # Where only one thing can be said, it is said in two ways.
            chosen = [parts[index] for index in np.resize(random.permutation(len(parts)), count)]
            said = [str(random.choice(part.words)).lower() for part in chosen]
            if count == 2:
                words += said
            texts[row] = str(random.choice(_JOINS)).format(a=said[0], b=said[1]) if count == 2 else said[0]
            claims[row] = frozenset(part.tag for part in chosen)
        return claims, words

    def _lose_words(self, text: str, random: np.random.Generator) -> str:
        """Sometimes a caption without some of its words, never without all."""
        if random.random() >= self._batches.word_loss_share:
            return text
        words = np.array(text.split())
        kept = words[random.random(len(words)) >= self._batches.word_loss]
        return " ".join(kept) if len(kept) else text

    def front_end(self) -> tuple[Float[np.ndarray, " bands"], Float[np.ndarray, " bands"]]:
        """Mean and standard deviation of every mel band over some training windows."""
        clips = self.training_log_mels(256)
        return clips.mean(axis=(0, 1)), clips.std(axis=(0, 1)) + 1e-3

    def training_log_mels(self, count: int) -> Float[np.ndarray, "rows stft_frames bands"]:
        """Up to `count` random training windows, unchanged."""
        windows = np.concatenate([self._windows_of[piece] for piece in self.training_pieces])
        random = np.random.default_rng((self._seed, 3))
        return self.dataset.windows(random.permutation(windows)[:count])

    def training_captions(self, count: int) -> list[str]:
        """Up to `count` random captions of training pieces, every genre name and every word for a part of theirs."""
        texts = [text for piece in self.training_pieces for text in self._texts[piece]]
        random = np.random.default_rng((self._seed, 4))
        parts = [part for piece in self.training_pieces for part in self._parts_of(piece)]
        words = dict.fromkeys(word for part in parts for word in part.words)
        return [*self.dataset.genre_names, *words, *(str(text) for text in random.permutation(texts)[:count])]

    def held_out_pairs(self, count: int) -> StylePairs:
        """Up to `count` held-out windows, spread over the held-out pieces, with one caption each."""
        random = np.random.default_rng((self._seed, 5))
        pieces = np.resize(self.held_out_pieces, min(count, 4 * len(self.held_out_pieces)))
        windows, texts = self._draw(pieces, random)
        labels = pieces if self.dataset.genre is None else self.dataset.genre[pieces]
        parts = [tuple(self._parts_of(piece)) for piece in pieces]
        return StylePairs(self.dataset.windows(windows), texts, np.asarray(labels), parts)

    def _parts_of(self, piece: int | np.integer) -> Sequence[Part]:
        return self.dataset.parts[int(piece)] if self.dataset.parts else ()

    def _draw(self, pieces: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, list[str]]:
        windows = np.array([random.choice(self._windows_of[piece]) for piece in pieces])
        return windows, [self._texts[piece][random.integers(len(self._texts[piece]))] for piece in pieces]

    def _not_negative(
        self, pieces: np.ndarray, texts: list[str], claims: Sequence[frozenset[str]] = ()
    ) -> Bool[np.ndarray, "batch batch"]:
        """Pairs that must not be pushed apart: the caption is the clip's own, its genre's, or claims what is true of it."""
        same_piece = pieces[:, None] == pieces[None, :]
        words = np.array(texts)
        same_text = words[:, None] == words[None, :]
        own_text = np.array([[text in self._text_sets[piece] for text in texts] for piece in pieces])
        result = same_piece | same_text | own_text
        if self.dataset.genre is not None:
            genre_of_text = np.array([self._genre_of_text.get(text, -1) for text in texts])
            result |= self.dataset.genre[pieces][:, None] == genre_of_text[None, :]
        if self._tags_of is not None and claims:
            tags = [self._tags_of[piece] for piece in pieces]
            result |= np.array([[bool(claim) and claim <= own for claim in claims] for own in tags])
        return result


def _broad_captions(texts: Sequence[Sequence[str]], genre: np.ndarray | None) -> dict[str, int]:
    """Captions that describe a genre rather than a piece, with their genre."""
    if genre is None:
        return {}
    in_genre = Counter((text, int(label)) for piece, label in zip(texts, genre, strict=True) for text in set(piece))
    overall = Counter(text for piece in texts for text in set(piece))
    sizes = Counter(int(label) for label in genre)
    return {
        text: label
        for (text, label), count in in_genre.items()
        if count == overall[text] and count >= max(2, _BROAD_SHARE * sizes[label])
    }


def train_tokenizer(captions: Iterable[str], config: StyleConfig) -> bytes:
    """Trains a SentencePiece unigram model on captions.

    Bytes are pieces too, so that any script can be typed; ids 0 and 1 are padding and BOS, as in the released pipeline.

    Returns:
      The serialized model, of at most config.vocabulary_size pieces.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(sorted({caption.strip().lower() for caption in captions if caption.strip()})),
        model_writer=model,
        vocab_size=config.vocabulary_size,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="nmt_nfkc_cf",
        pad_id=PAD_ID,
        bos_id=BOS_ID,
        unk_id=2,
        eos_id=-1,
        num_threads=1,  # the same pieces on every machine
        minloglevel=2,
    )
    return model.getvalue()
