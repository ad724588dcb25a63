"""One part of a bundle trained from nothing, at any size: the codec and the style model on audio, the LM on tokens.

    music -> train_codec_part -> codec -> train_style_part -> style -> `mrtpy prepare` -> tokens -> train_lm_part -> lm

Each writes a bundle that holds its part and, of a base bundle, all others. The starter itself is made by
`python -m magenta_rt_py.train.starter`, which does all of this with the studio's labels; its work directory serves here
too: its tokens train a language model of any size.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py import audio, lm
from magenta_rt_py.bundle import Bundle, save_bundle
from magenta_rt_py.codec import bands, spectrostream_config
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.generators import system
from magenta_rt_py.style import config as style_config
from magenta_rt_py.style import spectrogram
from magenta_rt_py.train import studio
from magenta_rt_py.train.codec import train_codec
from magenta_rt_py.train.codec_waveform import train_spectrostream
from magenta_rt_py.train.data import load_split
from magenta_rt_py.train.disk import write_whole
from magenta_rt_py.train.finetune.config import FinetuneConfig
from magenta_rt_py.train.finetune.finetune import check_same_run, vectors_of
from magenta_rt_py.train.finetune.fit import Fitted, Music, fit
from magenta_rt_py.train.finetune.presets import size
from magenta_rt_py.train.finetune.sources import open_source
from magenta_rt_py.train.folder import AudioFolder
from magenta_rt_py.train.lm import initial_params
from magenta_rt_py.train.runs import RunRecord
from magenta_rt_py.train.runs.provenance import machine_state, source_state
from magenta_rt_py.train.starter.export import storage_of
from magenta_rt_py.train.starter.recipe import StarterRecipe
from magenta_rt_py.train.style import StyleTrainOptions, train_style
from magenta_rt_py.train.style_data import StyleDataset

Say = Callable[[str], None]

COMPACT = {"tiny": codec_config.tiny, "starter": codec_config.starter}
"""Preset -> the compact codec's sizes. "base" and "large" take SpectroStream, the released geometry, as the released
models of those sizes do."""

STYLES = {
    "tiny": style_config.tiny,
    "starter": style_config.starter,
    "base": style_config.released,
    "large": style_config.released,
}
"""Preset -> the style model's sizes."""

FEWEST_PIECES = 8
"""Pieces that a style model needs at least: it learns by telling them apart."""

DONE = "music.json"
"""Written last into a folder of what was made of the music: whose it is, and the captions of every piece."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of music to train on."""

    samples: Float[np.ndarray, "samples 2"]
    captions: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioRun:
    """One training on music."""

    # Music, read once; what is made of it stays in the work directory.
    pieces: Iterator[Piece]
    # What it is, in words: "folder /music".
    music: str
    # Of training, over all sessions.
    seconds: float
    # Checkpoints and the music's features.
    work: Path
    # Whose other parts the bundle gets; note that they were trained with another one of this part.
    base: Bundle | None
    # Of weights and crops.
    seed: int
    # Called with lines of text.
    log: Say


def folder_pieces(directory: str | Path) -> Iterator[Piece]:
    """Pieces of a folder of audio, see `train.folder`."""
    for piece in AudioFolder(directory).pieces():
        yield Piece(samples=piece.samples, captions=tuple(piece.label.captions))


def studio_pieces(minutes: float) -> Iterator[Piece]:
    """Pieces of the studio, spread evenly over the starter's genres."""
    recipe = StarterRecipe()
    for number in range(max(round(minutes * 60 / recipe.piece_seconds), 1)):
        genre = studio.STARTER_GENRES[number % len(studio.STARTER_GENRES)]
        made = studio.draw_piece(recipe.first_seed + number, genre=genre, seconds=recipe.piece_seconds)
        yield Piece(samples=np.asarray(made.samples, np.float32), captions=tuple(made.label.captions))


def train_codec_part(preset: str, output: Path, run: AudioRun) -> Path:
    """Trains a codec on audio and writes it into a bundle; started again, it goes on.

    Args:
      preset: "tiny" or "starter" for the compact codec, "base" or "large" for SpectroStream.
      output: directory of the bundle.
      run: music, time and places.
    Raises:
      ValueError: there is no music, or the work directory holds other music.
    """
    kept = functools.partial(_kept, run.pieces, run.work / "codec-music", f"{run.music}, {preset}")
    common = {"seconds_budget": run.seconds, "directory": run.work / "codec", "seed": run.seed, "log": run.log}
    if preset in COMPACT:
        compact = COMPACT[preset]()
        features = kept(lambda samples: bands.stored_features(bands.band_energies(compact, samples[None])[0]))
        tensors = train_codec([stored for stored, _ in features], compact, **common)
        return _write(output, run.base, "codec", dataclasses.asdict(compact), tensors)
    stream = spectrostream_config.released()
    sounds = [stored for stored, _ in kept(lambda samples: samples.astype(np.float32))]
    tensors = train_spectrostream(sounds, stream, **common)
    return _write(output, run.base, "codec", stream.to_dict(), tensors)


def train_style_part(preset: str, output: Path, run: AudioRun) -> Path:
    """Trains a style model on audio and its captions; arguments and errors as of `train_codec_part`."""
    config = STYLES[preset]()

    def log_mels(samples: np.ndarray) -> np.ndarray:
        mono = audio.to_mono(samples, audio.SAMPLE_RATE_HZ, config.sample_rate_hz)
        return spectrogram.window_log_mels(mono, config).astype(np.float16)

    kept = _kept(run.pieces, run.work / "style-music", f"{run.music}, {preset}", log_mels)
    if len(kept) < FEWEST_PIECES:
        raise ValueError(f"got {len(kept)} pieces of music, expected at least {FEWEST_PIECES} to tell apart; add more")
    options = StyleTrainOptions(batch_size=min(StyleTrainOptions().batch_size, len(kept) // 2))
    dataset = StyleDataset(
        log_mels=[windows for windows, _ in kept],
        captions=[captions for _, captions in kept],
        piece_of_window=np.repeat(np.arange(len(kept)), [len(windows) for windows, _ in kept]),
    )
    tensors, tokenizer = train_style(
        dataset,
        config,
        seconds_budget=run.seconds,
        directory=run.work / "style",
        seed=run.seed,
        log=run.log,
        options=options,
    )
    packed = {**tensors, "tokenizer/model": np.frombuffer(tokenizer, np.uint8)}
    return _write(output, run.base, "style", config.to_dict(), packed)


def train_lm_part(
    preset: str, data: str | Path, output: Path, config: FinetuneConfig, *, work: Path, base: Bundle, log: Say
) -> Fitted:
    """Trains a language model on tokens from nothing; started again, it goes on.

    Args:
      preset: its size.
      data: a prepared folder of the base bundle, or token shards.
      output: directory of the bundle.
      config: the run, see `finetune.presets.from_nothing`.
      work: its checkpoints and metrics.
      base: whose codec and style model made the tokens; it gets this language model.
      log: called with lines of text.
    Raises:
      ValueError: the codec has fewer levels than the model generates, or the work directory holds another run.
    """
    codec, style = system.load_codec(base), system.load_style(base)
    model = size(preset, codec.code_vectors.shape[-1], style.code_vectors.shape[-1])
    if codec.num_levels < model.num_levels:
        raise ValueError(
            f"{base.path.name}'s codec has {codec.num_levels} levels, the {preset} language model generates "
            f"{model.num_levels}; give a bundle with more, or a smaller preset"
        )
    source = open_source(data, base)
    train, held_out = load_split(source.train, source.held_out, quantize=style.quantize)
    fresh = lm.flatten(initial_params(model, train, seed=config.seed))
    settings = {"train": config, "model": model}
    check_same_run(work, settings, source.fingerprint)
    with RunRecord.begin(work, settings, source.fingerprint, model="lm") as record:
        music = Music(train=train, held_out=held_out, quantize=style.quantize)
        fitted = fit(config, model, fresh, music, vectors_of(model, codec, style), directory=work, log=log)
        record.finish(fitted.state)
    _write(output, base, "lm", dataclasses.asdict(model), fitted.tensors)
    return fitted


def _kept(
    pieces: Iterator[Piece], folder: Path, whose: str, make: Callable[[np.ndarray], np.ndarray]
) -> list[tuple[np.ndarray, tuple[str, ...]]]:
    """What is made of each piece, on disk and memory-mapped, with its captions; made once and then found again."""
    if not (folder / DONE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        captions = []
        for number, piece in enumerate(pieces):
            np.save(folder / f"{number:06d}.npy", make(piece.samples))
            captions.append(list(piece.captions))
        if not captions:
            raise ValueError("there is no music to train on: the folder holds nothing usable")
        write_whole(folder / DONE, json.dumps({"music": whose, "captions": captions}).encode())
    known = json.loads((folder / DONE).read_text(encoding="utf-8"))
    if known["music"] != whose:
        raise ValueError(f"{folder} holds what was made of other music ({known['music']}, not {whose}); name another --work")
    captions = known["captions"]
    return [(np.load(folder / f"{number:06d}.npy", mmap_mode="r"), tuple(texts)) for number, texts in enumerate(captions)]


def _write(output: Path, base: Bundle | None, part: str, config: dict[str, Any], tensors: dict[str, np.ndarray]) -> Path:
    """A bundle with this part, and the base's others."""
    record = dict(base.record) if base else {}
    record |= {"name": output.name, "trained": {**record.get("trained", {}), part: _provenance()}}
    return save_bundle(output, parts={part: (config, tensors)}, record=record, storage=storage_of([part]), base=base)


def _provenance() -> dict[str, Any]:
    return {"source": source_state(), "machine": machine_state()}
