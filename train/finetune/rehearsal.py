"""Music that the starter knows, rendered anew from seeds: rehearsed in a finetune, it holds back forgetting.

The studio that made the starter's training music makes an hour or so of it again, with the starter's first seeds, and
the bundle's own codec and style model turn it into token shards. A model that the studio did not train has no such seeds:
give it a prepared folder of music of the kind it should not forget, or no rehearsal.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from magenta_rt_py.bundle import Bundle
from magenta_rt_py.codec.compact import CompactCodec
from magenta_rt_py.generators import system
from magenta_rt_py.style.embedder import StyleModel
from magenta_rt_py.train import studio
from magenta_rt_py.train.starter.recipe import StarterRecipe
from magenta_rt_py.train.starter.render import remove_leftovers, render_shards
from magenta_rt_py.train.starter.tokens import codes_path, load_codec, token_path, write_codes, write_tokens

PIECES_PER_GENRE = 4
"""Rendered if nobody says otherwise. With less than one, as once, the genres left out are forgotten first."""
MINUTES = len(studio.STARTER_GENRES) * PIECES_PER_GENRE * StarterRecipe().piece_seconds / 60
"""Minutes that they take."""
PIECES_PER_SHARD = 8


def studio_trained(bundle: Bundle) -> bool:
    """Whether a bundle was trained on the studio's music: its record names the genres."""
    return bool(bundle.record.get("genres"))


def render_rehearsal(
    bundle: Bundle,
    directory: Path,
    *,
    minutes: float = MINUTES,
    first_seed: int = StarterRecipe().first_seed,
    workers: int = 1,
    log: Callable[[str], None] | None = None,
) -> list[Path]:
    """Token shards of studio music; those that are there already are kept.

    Args:
      bundle: whose codec and style model make the tokens.
      directory: receives renders and tokens; one for each bundle.
      minutes: of music; below half a minute a genre, some genres are left out.
      first_seed: of the pieces; the starter's own by default.
      workers: processes that render.
      log: called with lines of text.
    Raises:
      ValueError: the bundle's codec or style model is not one the studio's pipeline feeds.
      SoundFontMissingError: the studio's sound font is not installed.
    """
    codec, style = system.load_codec(bundle), system.load_style(bundle)
    if not (isinstance(codec, CompactCodec) and isinstance(style, StyleModel)):
        raise ValueError(
            f"studio music cannot be rehearsed for {bundle.path.name}: its codec or style model is a released one; "
            "give --rehearse a prepared folder, or --rehearsal-share 0"
        )
    pieces = max(round(minutes * 60 / StarterRecipe().piece_seconds), 1)
    recipe = StarterRecipe(
        num_pieces=pieces,
        pieces_per_shard=min(PIECES_PER_SHARD, pieces),
        first_seed=first_seed,
        codec_shards=1,
        held_out_pieces=0,
    )
    if log:
        log(f"rendering {minutes:g} minutes of {len(studio.STARTER_GENRES)} genres to be rehearsed")
    remove_leftovers(directory)
    render_shards(
        directory,
        recipe,
        codec.config,
        style.config,
        shards=range(recipe.num_shards),
        workers=workers,
        rendered=lambda index, seconds: log(f"rehearsal: shard {index} in {seconds:.0f} s") if log else None,
    )
    encode = load_codec(codec.config, bundle.tensors("codec"))
    for index in range(recipe.num_shards):
        if not token_path(directory, index).exists():
            write_codes(directory, index, encode)
            write_tokens(directory, index, style, captions=recipe.captions_per_piece)
            codes_path(directory, index).unlink()
    return [token_path(directory, index) for index in range(recipe.num_shards)]
