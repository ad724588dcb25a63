"""MusicModel: a loaded bundle, from prompts to streams. This is the stateful shell; the machine is `codec_lm`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from magenta_rt_py import audio, lm
from magenta_rt_py.bundle import Bundle, load_bundle, starter_path
from magenta_rt_py.codec import Codec, codec_from_tensors
from magenta_rt_py.errors import BundleError
from magenta_rt_py.generators import exact as released_ways
from magenta_rt_py.generators import styles
from magenta_rt_py.generators.adapted import Adapted
from magenta_rt_py.generators.compilation import use_cache
from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.models import Models
from magenta_rt_py.generators.packed_decoders import PackedDecoders
from magenta_rt_py.generators.stream import Stream
from magenta_rt_py.generators.styles import NO_STYLE, Style
from magenta_rt_py.lm import adapters, narrow_decode, refinement
from magenta_rt_py.lm.averaging import averaged_levels
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.tables import normalise_levels
from magenta_rt_py.style import StyleEmbedder, style_from_tensors
from magenta_rt_py.style.musiccoca_config import TOWERS_ASSET
from magenta_rt_py.style.prompts import mix
from magenta_rt_py.style.steering import as_direction, is_direction, read_steering

BundleLocation = str | os.PathLike[str] | Bundle | None
Part = TypeVar("Part")


class MusicModel:
    """A loaded bundle. Streams of one model share its weights and are otherwise independent.

    Attributes:
      bundle: where the weights came from, with the training record.
      models: codec, language model and refinement, as `generate_chunk` takes them.
      style_model: the text and audio towers.
      defaults: the knobs that the bundle was tuned for.
      directions: of a finetuned bundle: the prompts that stand for its own music, and their embeddings; else empty.
    """

    def __init__(self, bundle: Bundle, models: Models, style_model: StyleEmbedder):
        """Use `load`."""
        self.bundle = bundle
        self.models = models
        self.style_model = style_model
        self.defaults = default_controls(bundle)
        self.directions = directions_of(bundle, style_model.config.dim)

    def embed(self, prompt: Any) -> Float[np.ndarray, "dim"]:
        """Embeds one prompt: text, the path of an audio file, an `Audio`, or a pair (samples, sample_rate).

        Of a finetuned bundle the texts of `directions`, such as "[mean style]", are prompts too.

        Raises:
          ValueError: if a text is empty or endless, or a direction that the bundle lacks, or an array is no audio.
          AudioFormatError: if a file cannot be read.
        """
        return self.embed_made_out(styles.as_prompt(prompt))

    def embed_made_out(self, prompt: str | audio.Audio) -> Float[np.ndarray, "dim"]:
        """Embeds a prompt that `as_prompt` made out: a text is words or a direction, and never the path of a file.

        Raises:
          ValueError: it is spelt like a direction, and the bundle has no such one.
        """
        if isinstance(prompt, str) and is_direction(prompt):
            if prompt not in self.directions:
                known = f"it has {', '.join(self.directions)}" if self.directions else "only finetuned ones have directions"
                raise ValueError(f"this bundle has no {prompt}; {known}")
            return self.directions[prompt]
        return styles.embed(self.style_model, prompt)

    def mix(self, prompts: Any) -> Style:
        """Blends prompts into a style: the weighted mean of their embeddings.

        Args:
          prompts: {prompt: weight}, or pairs (prompt, weight); prompts as in `embed`, weights of 0 or more. With all
            weights 0 the style is masked: the model plays what it likes.
        Raises:
          ValueError: if a weight is negative, NaN or infinite, or a prompt is wrong.
          AudioFormatError: if a file cannot be read.
        Source: Live Music Models, section 2.3: "an arbitrary mixture of audio and text prompts".
        """
        pairs = [(styles.as_prompt(prompt), weight) for prompt, weight in styles.as_pairs(prompts)]
        return self.style_from([(self.embed_made_out(prompt), weight) for prompt, weight in pairs if weight])

    def style_from(self, embeddings: list[tuple[np.ndarray, float]]) -> Style:
        """Blends embeddings, for callers that keep them: no tower runs."""
        embedding = mix([vector for vector, _ in embeddings], [weight for _, weight in embeddings])
        if embedding is None:
            return NO_STYLE
        codes = self.style_model.quantize(embedding)[: self.models.lm_config.style_levels]
        return Style(embedding=embedding, codes=codes)

    def stream(
        self,
        style: Style = NO_STYLE,
        *,
        seed: int = 0,
        bpm: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        guidance_weight: float | None = None,
        adapter_strength: float | None = None,
        controls: Controls | None = None,
        continuity: str = "stream",
        exact: bool = False,
    ) -> Stream:
        """Starts a stream in silence.

        Args:
          style: what to play; see `mix`.
          seed: the same seed, style and knobs give the same take.
          bpm: tempo; None takes the bundle's.
          temperature: None takes the bundle's, as with the next two.
          top_k: codes that may be drawn.
          guidance_weight: how closely to follow the style.
          adapter_strength: of a finetuned bundle with adapters, see `Controls`.
          controls: all knobs at once, instead of the bundle's; the five above are applied to it.
          continuity: how chunks are joined, see `codec_lm.init_state`.
          exact: as the released program does it, `continuity` included; for released models, see `exact.py`.
        Raises:
          ValueError: exact mode is wanted of another model.
        """
        base = self.defaults if controls is None else controls
        chosen = base.replace(
            temperature=temperature,
            top_k=top_k,
            guidance_weight=guidance_weight,
            bpm=bpm,
            adapter_strength=adapter_strength,
        )
        models = released_ways.exact(self.models) if exact else self.models
        joined = released_ways.CONTINUITY if exact else continuity
        return Stream(models, style, seed=seed, controls=chosen, continuity=joined)

    def warmup(self) -> None:
        """Compiles what a 2 s request needs, or reads it from the compilation cache, by making one and dropping it."""
        self.mix({"warm up": 1.0})
        self.stream().next_chunk()


def load(path: BundleLocation = None, *, warmup: bool = False) -> MusicModel:
    """Loads a bundle.

    Args:
      path: the bundle's directory; None loads the starter inside the package.
      warmup: also compile, so that the first chunk comes without delay.
    Raises:
      BundleError: if the bundle is missing, damaged, or lacks a part.
    """
    use_cache()
    bundle = open_bundle(path)
    style = load_style(bundle)
    model = MusicModel(bundle, load_models(bundle, style), style)
    if warmup:
        model.warmup()
    return model


def open_bundle(path: BundleLocation = None) -> Bundle:
    """Opens and verifies a bundle without loading its weights; None means the starter."""
    if isinstance(path, Bundle):
        return path
    return load_bundle(starter_path() if path is None else path)


def default_controls(bundle: Bundle) -> Controls:
    """The knobs a bundle was tuned for, from its record's "defaults"."""
    defaults = bundle.record.get("defaults", {})
    names = ("temperature", "top_k", "guidance_weight", "bpm")
    knobs = {name: defaults[name] for name in names if defaults.get(name) is not None}
    for name in knobs.keys() - {"top_k"}:
        knobs[name] = float(knobs[name])
    return Controls(**knobs)


def directions_of(bundle: Bundle, dim: int) -> dict[str, Float[np.ndarray, "dim"]]:
    """Prompt and embedding of each direction that a finetune found in its music; empty for other bundles.

    Args:
      bundle: whose part "steering" is read.
      dim: of the style model's embeddings.
    Raises:
      BundleError: the part is not as it should be, or of another style model.
    """
    found = read_steering(bundle)
    if found is None:
        return {}
    if found.mean_style.shape != (dim,):
        raise BundleError(
            f"{bundle.path}: the directions of its part 'steering' have {found.mean_style.shape[0]} numbers, its style "
            f"model's embeddings {dim}; finetune again"
        )
    return {as_direction(name): np.asarray(vector, np.float32) for name, vector in found.prompts().items()}


def load_codec(path: BundleLocation = None) -> Codec:
    """Loads only a bundle's codec, whichever kind it is."""
    use_cache()
    return _part(open_bundle(path), "codec", codec_from_tensors)


def load_style(path: BundleLocation = None) -> StyleEmbedder:
    """Loads only a bundle's style model, whichever kind it is."""
    use_cache()
    bundle = open_bundle(path)
    held = any(name.startswith(f"{TOWERS_ASSET}/") for name in bundle.assets)
    assets = {TOWERS_ASSET: bundle.asset_path(TOWERS_ASSET)} if held else {}
    return _part(bundle, "style", lambda config, flat: style_from_tensors(config, flat, assets))


def load_models(bundle: Bundle, style: StyleEmbedder) -> Models:
    """Loads what makes sound: codec, language model and refinement.

    The language model's tables are multiplied out here, once, from the code vectors of codec and style quantizer.
    """
    codec = load_codec(bundle)
    config, params = _part(bundle, "lm", _load_lm)
    if config.factorised:
        vectors = lm.normalise_code_vectors(codec.code_vectors, style.code_vectors, config)
        params = lm.materialize(params, vectors, config)
    adapted = None
    if adapters.PART in bundle.configs:
        adapted = _part(bundle, adapters.PART, lambda fields, flat: _adapted(config, params, fields, flat))
    averaged = averaged_levels(codec.code_vectors, config)
    packed_decoders = None
    storage = "int8" if bundle.storage("lm") == "int8" else "float32"
    if narrow_decode.can_loop(config.plain, storage):
        packed_decoders = PackedDecoders(config.plain, averaged, storage)
    made = Models(
        codec=codec,
        lm_config=config.plain,
        lm_params=params,
        averaged=averaged,
        adapted=adapted,
        packed_decoders=packed_decoders,
    )
    if config.num_levels == codec.num_levels or "refinement" not in bundle.configs:
        return made
    fine_config, fine_params = _part(bundle, "refinement", _load_refinement)
    return dataclasses.replace(
        made,
        refinement_config=fine_config,
        refinement_params=fine_params,
        refinement_vectors=jnp.asarray(normalise_levels(codec.code_vectors, fine_config.num_levels)),
    )


def _load_lm(fields: dict[str, Any], flat: dict[str, np.ndarray]) -> tuple[LMConfig, dict[str, Any]]:
    config = LMConfig(**fields)
    return config, lm.load(flat, config)


def _adapted(config: LMConfig, params: Any, fields: dict[str, Any], flat: dict[str, np.ndarray]) -> Adapted:
    """The language model's parameters with the bundle's adapters."""
    sizes = adapters.AdapterConfig(**fields)
    return Adapted(params, adapters.load(flat, sizes, config), sizes)


def _load_refinement(
    fields: dict[str, Any], flat: dict[str, np.ndarray]
) -> tuple[refinement.RefinementConfig, dict[str, Any]]:
    config = refinement.RefinementConfig(**fields)
    return config, refinement.load(flat, config)


def _part(bundle: Bundle, name: str, build: Callable[[dict[str, Any], dict[str, np.ndarray]], Part]) -> Part:
    """One part of a bundle; what does not fit becomes one error that says which part it is."""
    if name not in bundle.configs:
        raise BundleError(f"{bundle.path} has no {name!r} part; it has {', '.join(sorted(bundle.configs))}")
    try:
        return build(bundle.configs[name], bundle.tensors(name))
    except (TypeError, KeyError, ValueError) as error:
        raise BundleError(
            f"{bundle.path}: its {name!r} part does not fit this program ({error}); get the bundle again"
        ) from error
