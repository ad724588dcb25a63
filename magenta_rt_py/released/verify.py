"""Whether a bundle computes what the released models compute, as far as released numbers can tell.

Codec and style model are held against the released test vectors with the tolerances of the released code's own tests. For
the language model nothing was released to compare with: its parameters are counted and one forward pass is looked at.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.bundle import Bundle
from magenta_rt_py.released import testdata

__all__ = ["EMBEDDING_TOLERANCE", "ROUND_TRIP_TOLERANCE", "Row", "all_right", "verify"]

ROUND_TRIP_TOLERANCE = 1e-4
"""Largest difference of a decoded sample, full scale 1 (the released tests)."""
EMBEDDING_TOLERANCE = 1e-5
"""Largest difference of a number of an embedding (the released tests)."""
PARAMETERS = {768: ("Base", 347_873_472), 1024: ("Large", 761_651_456)}
"""Width of the language model -> name and number of parameters (enumerated with the released settings)."""
FORWARD_FRAMES = 2
"""Frames of the pass that is looked at."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison."""

    part: str
    """Of the bundle."""
    check: str
    """What is compared."""
    wanted: str
    """What it should be."""
    measured: str = ""
    """What it is."""
    ok: bool | None = None
    """None: not compared."""
    note: str = ""
    """Why not, or where it differs."""


def all_right(rows: list[Row]) -> bool:
    """Whether no comparison failed; what was not compared does not count."""
    return all(row.ok is not False for row in rows)


def verify(bundle: Bundle, vectors: Path | None, *, without_vectors: str = "") -> list[Row]:
    """Compares every part of a bundle with what was released for it.

    Args:
      bundle: opened, so its files match their checksums.
      vectors: a folder with the released test vectors, see `testdata.find_folder`; None if they cannot be had.
      without_vectors: why not.
    Returns:
      the rows of the table, in the order codec, style, lm.
    Raises:
      BundleError: a part cannot be loaded, or test vectors are damaged.
    """
    reason = without_vectors or "no test vectors are at hand; give --testdata DIR"
    size = f"{bundle.num_bytes / 1e6:.0f} MB"
    rows = [Row(part="bundle", check="files", wanted="their checksums", measured=size, ok=True)]
    if "codec" in bundle.configs:
        rows += _codec_rows(bundle, vectors, reason)
    if "style" in bundle.configs:
        rows += _style_rows(bundle, vectors, reason)
    if "lm" in bundle.configs:
        rows += language_model_rows(bundle)
    return rows


# ---------------------------------------------------------------------------------------------- codec


def _codec_rows(bundle: Bundle, vectors: Path | None, reason: str) -> list[Row]:
    folder = testdata.find_folder(vectors, testdata.CODEC_FOLDER) if vectors else None
    if folder is None:
        reason = f"no {testdata.CODEC_FOLDER} in {vectors}" if vectors else reason
        return [
            Row(part="codec", check="codes of the test sounds", wanted="all equal", note=reason),
            Row(part="codec", check="sound of the test codes", wanted=f"< {ROUND_TRIP_TOLERANCE:g}", note=reason),
        ]
    from magenta_rt_py.generators import system

    return codec_rows(system.load_codec(bundle), testdata.read_codec(folder))


def codec_rows(codec: Any, vectors: testdata.CodecVectors) -> list[Row]:
    """Codes of the test sounds, and the sound of the test codes (not of our own: each half is judged by itself)."""
    codes = codec.encode(vectors.audio)[:, :, : vectors.codes.shape[2]]
    sound = codec.decode(vectors.codes)
    return [
        codes_row("codec", "codes of the test sounds", codes, vectors.codes, axes=("clip", "frame", "level")),
        error_row("codec", "sound of the test codes", sound, vectors.round_trip, ROUND_TRIP_TOLERANCE),
    ]


# ---------------------------------------------------------------------------------------------- style


def _style_rows(bundle: Bundle, vectors: Path | None, reason: str) -> list[Row]:
    folder = testdata.find_folder(vectors, testdata.STYLE_FOLDER) if vectors else None
    if folder is None:
        reason = f"no {testdata.STYLE_FOLDER} in {vectors}" if vectors else reason
        limit = f"< {EMBEDDING_TOLERANCE:g}"
        return [
            Row(part="style", check="embeddings of the test texts", wanted=limit, note=reason),
            Row(part="style", check="style codes", wanted="all equal", note=reason),
            Row(part="style", check="embeddings of the test sounds", wanted=limit, note=reason),
        ]
    from magenta_rt_py.generators import system

    return style_rows(system.load_style(bundle), testdata.read_style(folder))


def style_rows(style: Any, vectors: testdata.StyleVectors) -> list[Row]:
    """Embeddings of texts and sounds, and style codes of the texts' released embeddings."""
    texts = np.concatenate([style.embed_text([text]) for text in vectors.texts])  # one by one, as the released model does
    sounds = np.stack([style.embed_audio(sound) for sound in vectors.audio])
    codes = style.quantize(vectors.embeddings)
    return [
        error_row("style", "embeddings of the test texts", texts, vectors.embeddings, EMBEDDING_TOLERANCE),
        codes_row("style", "style codes", codes, vectors.codes, axes=("text", "level")),
        error_row("style", "embeddings of the test sounds", sounds, vectors.audio_embeddings, EMBEDDING_TOLERANCE),
    ]


# ---------------------------------------------------------------------------------------------- language model


def language_model_rows(bundle: Bundle) -> list[Row]:
    """How many parameters there are, and whether a forward pass gives finite logits of the right shape."""
    from magenta_rt_py.errors import BundleError
    from magenta_rt_py.lm.config import LMConfig
    from magenta_rt_py.lm.model import load

    nothing = Row(part="lm", check="logits", wanted="", note="no test vectors were released for the language model")
    try:
        config = LMConfig(**bundle.configs["lm"])
        tensors = bundle.tensors("lm")
        if config.factorised:
            note = "this model is not of the released form; it has nothing released to compare with"
            return [dataclasses.replace(nothing, note=note)]
        count = sum(tensor.size for tensor in tensors.values())
        params = load(tensors, config)
        del tensors  # gigabytes, twice otherwise
    except (TypeError, ValueError) as error:
        raise BundleError(f"{bundle.path}: its 'lm' part does not fit this program ({error}); convert it again") from error
    return [_count_row(config, count), *_forward_rows(config, params), nothing]


def _count_row(config: Any, count: int) -> Row:
    if config.dim not in PARAMETERS:
        note = f"width {config.dim} is that of no released model"
        return Row(part="lm", check="parameters", wanted="", measured=f"{count:,}", note=note)
    name, wanted = PARAMETERS[config.dim]
    return Row(part="lm", check=f"parameters ({name})", wanted=f"{wanted:,}", measured=f"{count:,}", ok=count == wanted)


def _forward_rows(config: Any, params: Any) -> list[Row]:
    """A pass over missing context and masked style, with code 0 everywhere as the target."""
    import jax
    import jax.numpy as jnp

    from magenta_rt_py.lm import logits, vocabulary

    context = np.full((1, config.context_frames, config.num_levels), vocabulary.MISSING, np.int32)
    codes = np.zeros((1, FORWARD_FRAMES, config.num_levels), np.int32)
    targets = jnp.asarray(vocabulary.codes_to_tokens(codes, config).reshape(1, -1))
    inputs = jnp.asarray(vocabulary.encoder_inputs(context, None, config))
    run = jax.jit(lambda params: logits(params, inputs, targets, config))  # one program, not hundreds of small ones
    scores = np.asarray(run(params), np.float32)
    shape = (1, FORWARD_FRAMES * config.num_levels, config.vocabulary_rows)
    finite = bool(np.isfinite(scores).all())
    # A trained model has opinions; weights that were read in the wrong order give every id about the same chance.
    spread = float(scores.std()) if finite else float("nan")
    return [
        Row(part="lm", check="shape of the logits", wanted=str(shape), measured=str(scores.shape), ok=scores.shape == shape),
        Row(part="lm", check="logits are finite", wanted="all", measured=f"spread {spread:.3g}", ok=finite and spread > 0),
    ]


# ---------------------------------------------------------------------------------------------- comparing


def codes_row(
    part: str, check: str, codes: Int[np.ndarray, "..."], wanted: Int[np.ndarray, "..."], *, axes: tuple[str, ...]
) -> Row:
    """Codes must be equal, every one."""
    if codes.shape != wanted.shape:
        return Row(part=part, check=check, wanted=f"{wanted.shape}", measured=f"{codes.shape}", ok=False)
    different = np.argwhere(codes != wanted)
    note = ""
    if len(different):
        place = ", ".join(f"{axis} {index}" for axis, index in zip(axes, different[0], strict=True))
        note = f"first at {place}: {codes[tuple(different[0])]} instead of {wanted[tuple(different[0])]}"
    measured = f"{codes.size - len(different)} of {codes.size}"
    return Row(part=part, check=check, wanted="all equal", measured=measured, ok=not len(different), note=note)


def error_row(
    part: str, check: str, got: Float[np.ndarray, "..."], wanted: Float[np.ndarray, "..."], tolerance: float
) -> Row:
    """The largest difference must be below the tolerance."""
    if got.shape != wanted.shape:
        return Row(part=part, check=check, wanted=f"{wanted.shape}", measured=f"{got.shape}", ok=False)
    error = float(np.abs(np.asarray(got, np.float64) - wanted).max())
    return Row(
        part=part, check=check, wanted=f"< {tolerance:g}", measured=f"{error:.3g}", ok=bool(error < tolerance)
    )
