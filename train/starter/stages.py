"""The starter's stages. Each reads what earlier stages left and leaves its own, so that any can be stopped and resumed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import safetensors.numpy

from magenta_rt_py.bundle import starter_path
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.codec.config import starter as codec_config
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.config import starter as lm_config
from magenta_rt_py.lm.refinement import RefinementConfig
from magenta_rt_py.style.config import StyleConfig
from magenta_rt_py.style.config import starter as style_config
from magenta_rt_py.style.embedder import StyleModel
from magenta_rt_py.train import studio
from magenta_rt_py.train.codec import train_codec
from magenta_rt_py.train.history import HistoryConfig
from magenta_rt_py.train.lm import LMTrainingConfig, crop_config, train_lm
from magenta_rt_py.train.refinement import train_refinement
from magenta_rt_py.train.starter.export import Part, write_bundle
from magenta_rt_py.train.starter.recipe import StarterRecipe
from magenta_rt_py.train.starter.render import Shard, load_shard, render_shards
from magenta_rt_py.train.starter.tokens import load_codec, token_path, write_tokens
from magenta_rt_py.train.style import train_style
from magenta_rt_py.train.style_data import StyleDataset

WINDOWS_PER_PIECE_IN_STYLE_TRAINING = 3
"""Windows of a piece that the style towers train on; neighbours overlap by eight of ten seconds and add little."""


def say(text: str) -> None:
    """One line of progress, at once."""
    print(text, flush=True)


def sizes() -> tuple[CompactCodecConfig, StyleConfig, LMConfig]:
    """The starter's geometries, made to fit together."""
    codec, style = codec_config(), style_config()
    return codec, style, lm_config(codec_code_dim=codec.latent_dim, style_code_dim=style.dim)


def tensors_path(directory: Path, part: str) -> Path:
    """Where a trained part's weights are kept until export."""
    return directory / part / "final.safetensors"


def save_tensors(directory: Path, part: str, tensors: dict[str, np.ndarray]) -> None:
    """Keeps a trained part."""
    path = tensors_path(directory, part)
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path)


def load_tensors(directory: Path, part: str) -> dict[str, np.ndarray]:
    """Reads a trained part.

    Raises:
      FileNotFoundError: if the stage that trains it has not finished.
    """
    path = tensors_path(directory, part)
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: run the stage {part!r} first")
    return safetensors.numpy.load_file(path)


def render(recipe: StarterRecipe, directory: Path, *, workers: int, shards: int) -> None:
    """Renders the first `shards` shards of features and labels."""
    codec, style, _ = sizes()
    render_shards(directory, recipe, codec, style, shards=shards, workers=workers, log=say)


def codec(recipe: StarterRecipe, directory: Path) -> None:
    """Trains the codec on the first shards."""
    config, _, _ = sizes()
    shards = [load_shard(directory, index) for index in range(recipe.codec_shards)]
    features = [piece for shard in shards for piece in shard.log_energies]
    tensors = train_codec(
        features,
        config,
        seconds_budget=recipe.codec_seconds,
        directory=directory / "codec",
        seed=recipe.seed,
        log=say,
    )
    save_tensors(directory, "codec", tensors)


def style_dataset(recipe: StarterRecipe, shards: list[Shard]) -> StyleDataset:
    """The style towers' training set: a few windows of every piece, its captions and its genre."""
    windows = [shard.log_mels for shard in shards]
    pieces, per_piece = sum(len(shard) for shard in windows), windows[0].shape[1]
    chosen = np.linspace(0, per_piece - 1, WINDOWS_PER_PIECE_IN_STYLE_TRAINING).round().astype(int)
    labels = [label for shard in shards for label in shard.labels]
    genres = list(studio.STARTER_GENRES)
    return StyleDataset(
        log_mels=[np.asarray(shard[:, chosen]).reshape(-1, *shard.shape[2:]) for shard in windows],
        captions=[label["captions"][: recipe.captions_per_piece] for label in labels],
        piece_of_window=np.repeat(np.arange(pieces), len(chosen)),
        genre=np.array([genres.index(label["genre"]) for label in labels]),
        genre_names=genres,
    )


def style(recipe: StarterRecipe, directory: Path) -> None:
    """Trains the style towers and their codebooks."""
    _, config, _ = sizes()
    shards = [load_shard(directory, index) for index in range(recipe.num_shards)]
    tensors, tokenizer = train_style(
        style_dataset(recipe, shards),
        config,
        seconds_budget=recipe.style_seconds,
        directory=directory / "style",
        seed=recipe.seed,
        log=say,
    )
    (directory / "style" / "tokenizer.model").write_bytes(tokenizer)
    save_tensors(directory, "style", tensors)


def load_style(directory: Path) -> StyleModel:
    """The trained style model."""
    _, config, _ = sizes()
    tokenizer = (directory / "style" / "tokenizer.model").read_bytes()
    return StyleModel.from_tensors(config, load_tensors(directory, "style"), tokenizer)


def tokens(recipe: StarterRecipe, directory: Path) -> None:
    """Turns every rendered shard into codes and style codes."""
    config, _, _ = sizes()
    encoder, style_model = load_codec(config, load_tensors(directory, "codec")), load_style(directory)
    for index in range(recipe.num_shards):
        if not token_path(directory, index).exists():
            write_tokens(directory, index, encoder, style_model, captions=recipe.captions_per_piece)
            say(f"tokens of shard {index + 1}/{recipe.num_shards}")


def _token_shards(recipe: StarterRecipe, directory: Path) -> tuple[list[Path], list[Path]]:
    """Token shards to train on, and those kept for validation."""
    held_out = -(-recipe.held_out_pieces // recipe.pieces_per_shard)
    shards = [token_path(directory, index) for index in range(recipe.num_shards)]
    return shards[:-held_out], shards[-held_out:]


def language_model(recipe: StarterRecipe, directory: Path) -> None:
    """Trains the language model on all shards but the held-out end, with spoilt history from the first step."""
    _, _, config = sizes()
    train, held_out = _token_shards(recipe, directory)
    tensors = train_lm(
        train,
        load_tensors(directory, "codec")["quantizer/codebooks"],
        load_tensors(directory, "style")["quantizer/code_vectors"],
        config,
        seconds_budget=recipe.lm_seconds,
        held_out_paths=held_out,
        quantize=load_style(directory).quantize,
        directory=directory / "lm",
        seed=recipe.seed,
        peak_learning_rate=recipe.lm_learning_rate,
        training=LMTrainingConfig(depth_frames=recipe.lm_depth_frames, history=HistoryConfig()),
        crops=dataclasses.replace(crop_config(config), target_frames=recipe.lm_target_frames),
        log=say,
    )
    save_tensors(directory, "lm", tensors)


def refinement_config() -> RefinementConfig:
    """The refinement model that fits the starter's codec and language model."""
    codec, _, language = sizes()
    return RefinementConfig(
        coarse_levels=language.num_levels, num_levels=codec.num_levels, codec_code_dim=codec.latent_dim
    )


def refinement(recipe: StarterRecipe, directory: Path) -> None:
    """Trains the refinement model on the same shards."""
    train, held_out = _token_shards(recipe, directory)
    tensors = train_refinement(
        train,
        load_tensors(directory, "codec")["quantizer/codebooks"],
        refinement_config(),
        seconds_budget=recipe.refinement_seconds,
        held_out_paths=held_out,
        directory=directory / "refinement",
        seed=recipe.seed,
        log=say,
    )
    save_tensors(directory, "refinement", tensors)


def export(recipe: StarterRecipe, directory: Path, output: Path | None) -> None:
    """Writes the bundle from all trained parts."""
    codec, style, language = sizes()
    parts = {
        "codec": Part(config=codec, tensors=load_tensors(directory, "codec")),
        "style": Part(config=style, tensors=load_style(directory).to_tensors()),
        "lm": Part(config=language, tensors=load_tensors(directory, "lm")),
    }
    if recipe.ship_refinement:
        parts["refinement"] = Part(config=refinement_config(), tensors=load_tensors(directory, "refinement"))
    path = write_bundle(output or starter_path(), parts, recipe, directory)
    say(f"wrote {path}: {sum(file.stat().st_size for file in path.iterdir()) / 2**20:.1f} MiB")
