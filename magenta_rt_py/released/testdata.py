"""The released test vectors: what codec and style model must give for known sound and words.

    testdata/ssv2_48k_stereo/   audio.npy       [clips, 2, samples]      48 kHz sound
                                tokens.npy      [clips, frames, levels]  its codes, all 64 levels
                                audio_rt.npy    [clips, 2, samples]      those codes as sound
    testdata/musiccoca_mv212/   inputs.txt      one text a line
                                embeddings.npy  [texts, dim]             their embeddings
                                tokens.npy      [texts, levels]          style codes of those embeddings
                                audio.npy       [clips, samples]         16 kHz sound, mono
                                embeddings_audio.npy  [clips, dim]       its embeddings

There are none for the language model.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.errors import BundleError

__all__ = ["CodecVectors", "StyleVectors", "find_folder", "read_codec", "read_style"]

CODEC_FOLDER = "ssv2_48k_stereo"
STYLE_FOLDER = "musiccoca_mv212"
_ADVICE = "fetch them again: mrtpy fetch magenta-rt-testdata"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CodecVectors:
    """Sound, its codes, and the sound of those codes."""

    audio: Float[np.ndarray, "clips samples channels"]
    codes: Int[np.ndarray, "clips frames levels"]
    round_trip: Float[np.ndarray, "clips played channels"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StyleVectors:
    """Texts and sounds with their embeddings, and style codes of the texts' embeddings."""

    texts: tuple[str, ...]
    embeddings: Float[np.ndarray, "texts dim"]
    codes: Int[np.ndarray, "texts levels"]
    audio: tuple[Float[np.ndarray, " samples"], ...]
    audio_embeddings: Float[np.ndarray, "clips dim"]


def find_folder(place: Path, name: str) -> Path | None:
    """The folder of one kind of test vectors, given itself, the folder testdata/, or a whole fetched repository."""
    for candidate in (place / "testdata" / name, place / name, place):
        if (candidate / "audio.npy").is_file() and (candidate == place / name or candidate.name == name):
            return candidate
    return None


def read_codec(folder: Path) -> CodecVectors:
    """Reads the codec's test vectors.

    Raises:
      BundleError: a file is missing, or holds something else.
    """
    audio, round_trip = (_channels_last(folder / name, _array(folder / name, 3)) for name in ("audio.npy", "audio_rt.npy"))
    codes = _array(folder / "tokens.npy", 3, integers=True)
    _check(len(audio) == len(codes) == len(round_trip), folder, f"{len(audio)} sounds, {len(codes)} codes")
    return CodecVectors(audio=audio, codes=codes, round_trip=round_trip)


def read_style(folder: Path) -> StyleVectors:
    """Reads the style model's test vectors.

    Raises:
      BundleError: a file is missing, or holds something else.
    """
    try:
        texts = tuple((folder / "inputs.txt").read_text(encoding="utf-8").strip().splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{folder / 'inputs.txt'}: not readable ({error}); {_ADVICE}") from error
    embeddings = _array(folder / "embeddings.npy", 2)
    codes = _array(folder / "tokens.npy", 2, integers=True)
    _check(len(texts) == len(embeddings) == len(codes), folder, f"{len(texts)} texts, {len(embeddings)} embeddings")
    sounds = np.load(folder / "audio.npy", allow_pickle=False)
    audio_embeddings = _array(folder / "embeddings_audio.npy", 2)
    _check(len(sounds) == len(audio_embeddings), folder, f"{len(sounds)} sounds, {len(audio_embeddings)} embeddings")
    return StyleVectors(
        texts=texts,
        embeddings=embeddings,
        codes=codes,
        audio=tuple(_mono(sound) for sound in sounds),
        audio_embeddings=audio_embeddings,
    )


def _array(path: Path, dimensions: int, *, integers: bool = False) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BundleError(f"{path}: not a readable array ({error}); {_ADVICE}") from error
    fits = np.issubdtype(array.dtype, np.integer if integers else np.floating)
    if array.ndim != dimensions or not fits or 0 in array.shape:
        kind = "integers" if integers else "floats"
        raise BundleError(f"{path}: {array.dtype} {array.shape} where {kind} of {dimensions} axes belong; {_ADVICE}")
    return array.astype(np.int32 if integers else np.float32)


def _channels_last(path: Path, sound: np.ndarray) -> np.ndarray:
    """The released arrays have channels before samples."""
    if sound.shape[1] == 2 and sound.shape[2] != 2:
        return np.ascontiguousarray(np.swapaxes(sound, 1, 2))
    _check(sound.shape[2] == 2, path, f"sound of shape {sound.shape}, which is not stereo")
    return sound


def _mono(sound: np.ndarray) -> np.ndarray:
    """The mean of the channels, wherever their axis is."""
    if sound.ndim == 1:
        return np.asarray(sound, np.float32)
    return np.asarray(sound.mean(axis=int(np.argmin(sound.shape))), np.float32)


def _check(fits: bool, place: Path, what: str) -> None:
    if not fits:
        raise BundleError(f"{place}: {what} do not belong together; {_ADVICE}")
