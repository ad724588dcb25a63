"""The starter's stages. Each reads what earlier stages left and leaves its own, so that any can be stopped and resumed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

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
from magenta_rt_py.train.runs.provenance import source_state
from magenta_rt_py.train.starter.export import Part, write_bundle
from magenta_rt_py.train.starter.kept import load_tensors, save_tensors, trained_for, write_text
from magenta_rt_py.train.starter.recipe import RENDERED_FIELDS, StarterRecipe
from magenta_rt_py.train.starter.render import load_shard, render_shards, shard_path
from magenta_rt_py.train.starter.style_set import style_dataset
from magenta_rt_py.train.starter.tokens import codes_path, load_codec, token_path, write_codes, write_tokens
from magenta_rt_py.train.studio.held_out import EVALUATION_TEXTS
from magenta_rt_py.train.style import StyleTrainOptions, train_style


def say(text: str) -> None:
    """One line of progress, at once."""
    print(text, flush=True)


def sizes(recipe: StarterRecipe) -> tuple[CompactCodecConfig, StyleConfig, LMConfig]:
    """The starter's geometries, made to fit together."""
    codec, style = codec_config(), style_config()
    language = lm_config(codec_code_dim=codec.latent_dim, style_code_dim=style.dim)
    return codec, style, dataclasses.replace(language, temporal_layers=recipe.lm_temporal_layers)


def check_directory(recipe: StarterRecipe, directory: Path) -> None:
    """Makes the work directory, or sees that what it holds was rendered for this recipe and these genres.

    Raises:
      ValueError: it was not.
    """
    path = directory / "rendered.json"
    fields = {name: getattr(recipe, name) for name in RENDERED_FIELDS} | {"genres": list(studio.STARTER_GENRES)}
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(fields | {"source": source_state()}, indent=1))
    found = json.loads(path.read_text())
    changed = [name for name, value in fields.items() if found.get(name) != value]
    if changed:
        raise ValueError(
            f"{directory} holds renders with other {', '.join(changed)}; name another --directory or remove this one"
        )


def render(recipe: StarterRecipe, directory: Path, *, workers: int, shards: Sequence[int]) -> None:
    """Renders some shards of features and labels."""
    codec, style, _ = sizes(recipe)

    def rendered(index: int, seconds: float) -> None:
        say(f"rendered shard {index} ({shards_done(recipe, directory)}/{recipe.num_shards}) in {seconds:.0f} s")

    render_shards(directory, recipe, codec, style, shards=shards, workers=workers, rendered=rendered)


def shards_done(recipe: StarterRecipe, directory: Path) -> int:
    """How many shards are rendered."""
    return sum(shard_path(directory, index).exists() for index in range(recipe.num_shards))


def codec(recipe: StarterRecipe, directory: Path) -> None:
    """Trains the codec on the first shards, and on what of them was made to sound recorded."""
    if trained_for(directory, "codec") >= recipe.codec_seconds:
        return
    config, _, _ = sizes(recipe)
    shards = [load_shard(directory, index) for index in range(recipe.codec_shards)]
    features = [piece for shard in shards for pieces in (shard.log_energies, shard.recorded_energies) for piece in pieces]
    tensors = train_codec(
        features,
        config,
        seconds_budget=recipe.codec_seconds,
        directory=directory / "codec",
        seed=recipe.seed,
        log=say,
    )
    save_tensors(directory, "codec", tensors, recipe.codec_seconds)


def codes(recipe: StarterRecipe, directory: Path, *, workers: int) -> None:
    """Renders from the last shard backwards what is not rendered yet, then turns every shard into codes.

    With no workers nothing is rendered: what there is has to do.
    """
    if workers:
        render(recipe, directory, workers=workers, shards=range(recipe.num_shards - 1, -1, -1))
    config, _, _ = sizes(recipe)
    encoder = load_codec(config, load_tensors(directory, "codec"))
    for index in range(recipe.num_shards):
        if shard_path(directory, index).exists() and not codes_path(directory, index).exists():
            write_codes(directory, index, encoder)
            say(f"codes of shard {index + 1}/{recipe.num_shards}")


def style(recipe: StarterRecipe, directory: Path) -> None:
    """Trains the style towers and their codebooks."""
    if trained_for(directory, "style") >= recipe.style_seconds:
        return
    _, config, _ = sizes(recipe)
    there = [index for index in range(recipe.num_shards) if shard_path(directory, index).exists()]
    shards = [load_shard(directory, index) for index in there]
    tensors, tokenizer = train_style(
        style_dataset(shards),
        config,
        seconds_budget=recipe.style_seconds,
        directory=directory / "style",
        seed=recipe.seed,
        options=StyleTrainOptions(batch_size=recipe.style_batch),
        log=say,
    )
    (directory / "style" / "tokenizer.model").write_bytes(tokenizer)
    save_tensors(directory, "style", tensors, recipe.style_seconds)


def load_style(recipe: StarterRecipe, directory: Path) -> StyleModel:
    """The trained style model."""
    _, config, _ = sizes(recipe)
    tokenizer = (directory / "style" / "tokenizer.model").read_bytes()
    return StyleModel.from_tensors(config, load_tensors(directory, "style"), tokenizer)


def tokens(recipe: StarterRecipe, directory: Path) -> None:
    """Joins every shard's codes with the style of its windows and captions."""
    style_model = load_style(recipe, directory)
    for index in range(recipe.num_shards):
        if codes_path(directory, index).exists() and not token_path(directory, index).exists():
            write_tokens(directory, index, style_model, captions=recipe.captions_per_piece)
            say(f"tokens of shard {index + 1}/{recipe.num_shards}")


def token_shards(recipe: StarterRecipe, directory: Path) -> tuple[list[Path], list[Path]]:
    """Token shards to train on, and the last ones, which are kept for validation."""
    shards = sorted(token_path(directory, 0).parent.glob("shard-*[0-9].npz"))
    held_out = -(-recipe.held_out_pieces // recipe.pieces_per_shard)
    if len(shards) <= held_out:
        raise FileNotFoundError(
            f"{len(shards)} token shards in {directory}, expected more than {held_out}: run the stage 'tokens'"
        )
    return shards[:-held_out], shards[-held_out:]


def language_model(recipe: StarterRecipe, directory: Path) -> None:
    """Trains the language model on all shards but the held-out end, with spoilt history from the first step."""
    if trained_for(directory, "lm") >= recipe.lm_seconds:
        return
    _, _, config = sizes(recipe)
    train, held_out = token_shards(recipe, directory)
    tensors = train_lm(
        train,
        load_tensors(directory, "codec")["quantizer/codebooks"],
        load_tensors(directory, "style")["quantizer/code_vectors"],
        config,
        seconds_budget=recipe.lm_seconds,
        held_out_paths=held_out,
        quantize=load_style(recipe, directory).quantize,
        directory=directory / "lm",
        seed=recipe.seed,
        batch_size=recipe.lm_batch,
        peak_learning_rate=recipe.lm_learning_rate,
        training=LMTrainingConfig(
            depth_frames=recipe.lm_depth_frames, history=HistoryConfig(), checkpoint_every_seconds=60.0
        ),
        crops=dataclasses.replace(crop_config(config), target_frames=recipe.lm_target_frames),
        genre_weights={studio.STARTER_GENRES.index(genre): recipe.lm_favour for _, genre in EVALUATION_TEXTS},
        log=say,
    )
    save_tensors(directory, "lm", tensors, recipe.lm_seconds)


def refinement_config(recipe: StarterRecipe) -> RefinementConfig:
    """The refinement model that fits the starter's codec and language model."""
    codec, _, language = sizes(recipe)
    return RefinementConfig(coarse_levels=language.num_levels, num_levels=codec.num_levels, codec_code_dim=codec.latent_dim)


def refinement(recipe: StarterRecipe, directory: Path) -> None:
    """Trains the refinement model on the same shards."""
    if trained_for(directory, "refinement") >= recipe.refinement_seconds:
        return
    train, held_out = token_shards(recipe, directory)
    tensors = train_refinement(
        train,
        load_tensors(directory, "codec")["quantizer/codebooks"],
        refinement_config(recipe),
        seconds_budget=recipe.refinement_seconds,
        held_out_paths=held_out,
        directory=directory / "refinement",
        seed=recipe.seed,
        log=say,
    )
    save_tensors(directory, "refinement", tensors, recipe.refinement_seconds)


def export(recipe: StarterRecipe, directory: Path, output: Path | None) -> Path:
    """Writes the bundle from all trained parts; into the work directory where no other place is named."""
    codec, style, language = sizes(recipe)
    parts = {
        "codec": Part(config=codec, tensors=load_tensors(directory, "codec")),
        "style": Part(config=style, tensors=load_style(recipe, directory).to_tensors()),
        "lm": Part(config=language, tensors=load_tensors(directory, "lm")),
    }
    if recipe.ship_refinement:
        parts["refinement"] = Part(config=refinement_config(recipe), tensors=load_tensors(directory, "refinement"))
    path = write_bundle(output or directory / "bundle", parts, recipe, directory)
    say(f"wrote {path}: {sum(file.stat().st_size for file in path.iterdir()) / 1e6:.1f} MB")
    return path
