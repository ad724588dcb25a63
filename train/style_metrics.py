"""What a style model has learnt: clips find captions, words find clips, blends of words mean both."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.style.embedder import StyleModel, scale_to_length
from magenta_rt_py.train.style_data import Part, StylePairs


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1."""
    return np.asarray(scale_to_length(vectors, 1.0))


def retrieval_metrics(
    audio: Float[np.ndarray, "rows dim"], text: Float[np.ndarray, "rows dim"], labels: Int[np.ndarray, " rows"]
) -> dict[str, float]:
    """How well clips find captions.

    Args:
      audio: embeddings of clips.
      text: row i is the embedding of a caption of clip i.
      labels: genre (or piece) of each row.

    Returns:
      pair_cosine and wrong_cosine: mean cosine with the own caption and with captions of other labels;
      top1: share of clips whose nearest caption has their label; chance: that share for a random caption.
    """
    cosine = unit(audio) @ unit(text).T
    same = labels[:, None] == labels[None, :]
    return {
        "pair_cosine": float(np.diagonal(cosine).mean()),
        "wrong_cosine": float(cosine[~same].mean()) if not same.all() else float("nan"),
        "top1": float(np.take_along_axis(same, cosine.argmax(axis=1)[:, None], axis=1).mean()),
        "chance": float(same.mean()),
    }


def evaluate(model: StyleModel, pairs: StylePairs, genre_names: Any = ()) -> dict[str, float]:
    """Metrics of a finished model on held-out pairs.

    Returns:
      Those of `retrieval_metrics`; first_code_agreement, the share of pairs with the same code on level 0;
      first_vector_cosine, the mean cosine of the two vectors those codes stand for;
      quantized_cosine_6, the mean cosine of an audio embedding with its first 6 levels; with genre names, genre_top1, the
      share of clips whose nearest genre name is right; and, where parts are known, those of `part_metrics`.
    """
    audio, text = model.embed_log_mels(pairs.log_mels), model.embed_text(pairs.captions)
    audio_codes, text_codes = model.quantize(audio), model.quantize(text)
    rebuilt = model.dequantize(audio_codes[:, : min(6, model.config.num_levels)])
    first_audio, first_text = (unit(model.dequantize(codes[:, :1])) for codes in (audio_codes, text_codes))
    metrics = retrieval_metrics(audio, text, pairs.labels) | {
        "first_code_agreement": float((audio_codes[:, 0] == text_codes[:, 0]).mean()),
        "first_vector_cosine": float((first_audio * first_text).sum(axis=-1).mean()),
        "quantized_cosine_6": float((unit(audio) * unit(rebuilt)).sum(axis=-1).mean()),
    }
    if genre_names:
        nearest = (unit(audio) @ unit(model.embed_text(list(genre_names))).T).argmax(axis=1)
        metrics["genre_top1"] = float((nearest == pairs.labels).mean())
    if any(pairs.parts):
        metrics |= part_metrics(model.embed_text, audio, pairs.parts)
    return metrics


def part_metrics(
    embed_text: Callable[[Sequence[str]], Any], audio: Float[np.ndarray, "rows dim"], parts: Sequence[tuple[Part, ...]]
) -> dict[str, float]:
    """How well single words find clips, and whether a blend of two is what both words together mean.

    Args:
      embed_text: texts -> embeddings [texts, dim].
      audio: embeddings of clips.
      parts: what is true of each clip.

    Returns:
      instrument_precision: of all instruments, ranked by a clip's cosine with their plainest word, the share of right ones
      among the first n, where n instruments play in it; instrument_chance: the same for a random order;
      composition_top1, composition_top5, composition_median_rank: the blend embed("techno") + embed("flute") against the
      joined captions of all pairs of a genre and an instrument that occur, and where "techno flute" comes among them
      (1 is first, of composition_pairs).
    """
    words = {part.tag: part.words[0] for row in parts for part in row}
    genres = sorted(tag for tag in words if tag.startswith("genre "))
    instruments = sorted(tag for tag in words if tag.startswith("instrument "))
    if not instruments:
        return {}
    embedding = dict(zip(words, unit(embed_text(list(words.values()))), strict=True))
    cosine = unit(audio) @ np.stack([embedding[tag] for tag in instruments]).T
    hits, chances = [], []
    for row, own in zip(cosine, parts, strict=True):
        true = {part.tag for part in own if part.tag in instruments}
        if true:
            first = np.argsort(-row)[: len(true)]
            hits.append(np.mean([instruments[index] in true for index in first]))
            chances.append(len(true) / len(instruments))
    metrics = {"instrument_precision": float(np.mean(hits)), "instrument_chance": float(np.mean(chances))}
    tags = [{part.tag for part in own} for own in parts]
    pairs = [(g, i) for g in genres for i in instruments if any(g in own and i in own for own in tags)]
    if len(pairs) < 2:
        return metrics
    joined = unit(embed_text([f"{words[genre]} {words[instrument]}" for genre, instrument in pairs]))
    blends = unit(np.stack([embedding[genre] + embedding[instrument] for genre, instrument in pairs]))
    scores = blends @ joined.T
    ranks = 1 + (scores > np.diagonal(scores)[:, None]).sum(axis=1)
    return metrics | {
        "composition_pairs": float(len(pairs)),
        "composition_top1": float((ranks == 1).mean()),
        "composition_top5": float((ranks <= 5).mean()),
        "composition_median_rank": float(np.median(ranks)),
    }
