"""What is measured: the starter or any bundle, or a released size with random weights, whose speed is the same."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jaxtyping import Float, Int

from magenta_rt_py.codec import spectrostream_config, spectrostream_network
from magenta_rt_py.codec.spectrostream import SpectroStream
from magenta_rt_py.generators import system
from magenta_rt_py.generators.compilation import use_cache
from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.models import Models
from magenta_rt_py.generators.packed_decoders import PackedDecoders
from magenta_rt_py.generators.stream import Stream
from magenta_rt_py.generators.styles import Style
from magenta_rt_py.generators.tiny_released import tiny_released_lm
from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.lm import narrow_decode
from magenta_rt_py.lm.averaging import AveragedLevels
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.initialise import lm_deviation
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.lm.packing import STORAGES
from magenta_rt_py.speed.first_sound import PROGRAM

DTYPES = ("float32", "bfloat16")
RANDOM_SIZES = ("base", "large", "tiny")
SIZES = ("starter", *RANDOM_SIZES)
"""`tiny` is for trying the programs out."""
RANDOM_PROGRAM = """
import json, sys
from magenta_rt_py.speed import subject
subject.play_first(**json.loads(sys.argv[1]))
"""
"""Makes the first chunk of a model of random weights."""
_DRAWN = 1_000_003
"""Random numbers that fill all weights, over and over; a prime, so that no two rows of a kernel are alike."""
_CONTROLS = Controls(temperature=1.1, top_k=40, guidance_weight=5.0)
"""The released library's; the guidance is on."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A model and what it is to play."""

    size: str
    """One of SIZES, or "bundle"."""
    models: Models
    style: Style
    controls: Controls
    dtype: str
    """Of the language model's weights and activations; codec and refinement are always float32."""
    weights: str
    """Where they come from: "random", or a bundle's folder name."""
    layers: int | None = None
    """Most layers a stack, where the size was cut down; None: whole."""

    @property
    def lm_parameters(self) -> int:
        """Numbers in the language model, as it runs (tables multiplied out)."""
        return _count(self.models.lm_params)

    @property
    def codec_parameters(self) -> int:
        """Numbers in the codec, encoder and codebooks included."""
        return sum(tensor.size for tensor in self.models.codec.to_tensors().values())  # both codecs have it

    @property
    def loop_storage(self) -> str | None:
        """Of the weights that the frame loop reads when one stream plays alone; None where XLA makes the frames."""
        packed = self.models.packed_decoders
        return None if packed is None else packed.storage

    def stream(self, *, seed: int = 0) -> Stream:
        """A warm stream, which believes to have heard ten seconds of random codes."""
        stream = Stream(self.models, self.style, seed=seed, controls=self.controls)
        stream.state = stream.state._replace(context_codes=random_codes(self.models, stream.state.context_codes.shape, seed))
        return stream

    def describe(self) -> dict[str, Any]:
        """What a report says of it."""
        config = self.models.lm_config
        return {
            "size": self.size,
            "weights": self.weights,
            "cut_to_layers": self.layers,
            "lm_dtype": self.dtype,
            "frame_loop": self.loop_storage,
            "lm_parameters": self.lm_parameters,
            "codec": type(self.models.codec).__name__,
            "codec_parameters": self.codec_parameters,
            "dim": config.dim,
            "layers": {"encoder": config.encoder_layers, "temporal": config.temporal_layers, "depth": config.depth_layers},
            "levels": config.num_levels,
            "guidance_weight": self.controls.guidance_weight,
        }


def random_codes(models: Models, shape: tuple[int, ...], seed: int = 0) -> Int[np.ndarray, "*shape"]:
    """Codes that fill a context."""
    return np.random.default_rng(seed).integers(0, models.lm_config.codebook_size, shape).astype(np.int32)


def build(
    size: str,
    *,
    dtype: str = "float32",
    storage: str | None = None,
    layers: int | None = None,
    bundle: Path | None = None,
) -> Subject:
    """A model of the given size, on JAX's default device.

    Args:
      size: one of SIZES; "starter" is loaded from the package, the others are made of random weights.
      dtype: of the language model.
      storage: of the weights that the frame loop of a CPU reads; None: what the bundle says. Without it XLA makes the
        frames of random weights.
      layers: most layers in each of the three stacks, for a machine that the whole does not fit; None: all.
      bundle: folder of a bundle to take instead.
    Raises:
      ValueError: if size, dtype, storage or layers is not possible.
      BundleError: if the bundle cannot be read.
    """
    check(size, dtype=dtype, storage=storage, layers=layers, bundle=bundle)
    use_cache()
    if bundle is None and size in RANDOM_SIZES:
        return _random(size, dtype, storage, layers)
    return _loaded(bundle, dtype, storage)


def check(size: str, *, dtype: str, storage: str | None, layers: int | None, bundle: Path | None) -> None:
    """Refuses what `build` cannot build, before any work."""
    if size not in SIZES:
        raise ValueError(f"the size is {size!r}; use one of {', '.join(SIZES)}")
    if dtype not in DTYPES:
        raise ValueError(f"the dtype is {dtype!r}; use one of {', '.join(DTYPES)}")
    if storage is not None and (storage not in STORAGES or dtype != "float32"):
        raise ValueError(
            f"the storage is {storage!r} with dtype {dtype}; use one of {', '.join(STORAGES)}, with dtype float32"
        )
    if layers is not None and layers < 1:
        raise ValueError(f"layers is {layers}; give 1 or more")
    if layers is not None and (bundle is not None or size not in RANDOM_SIZES):
        raise ValueError(f"layers is {layers}, but trained weights cannot be cut; use it with {' or '.join(RANDOM_SIZES)}")


def play_first(
    size: str, *, dtype: str, layers: int | None, device: str | None, storage: str | None = None
) -> None:
    """What RANDOM_PROGRAM runs: builds a model and makes one chunk."""
    from magenta_rt_py.speed.machine import choose_device

    with jax.default_device(choose_device(device)):
        build(size, dtype=dtype, storage=storage, layers=layers).stream().next_chunk()


def first_sound_program(size: str, bundle: Path | None) -> str:
    """The program whose time is the time to the first sound."""
    return RANDOM_PROGRAM if bundle is None and size in RANDOM_SIZES else PROGRAM


def size_config(size: str, layers: int | None = None) -> LMConfig:
    """Geometry of a size that is made of random weights, with at most `layers` layers a stack."""
    config = {"base": lm_config.base, "large": lm_config.large, "tiny": tiny_released_lm}[size]()
    if layers is None:
        return config
    stacks = ("encoder_layers", "temporal_layers", "depth_layers")
    return dataclasses.replace(config, **{name: min(layers, getattr(config, name)) for name in stacks})


def _random(size: str, dtype: str, storage: str | None, layers: int | None) -> Subject:
    config = dataclasses.replace(size_config(size, layers), activation_dtype=dtype)
    decoders = None if storage is None else _decoders(config, None, storage)
    codec = spectrostream_config.tiny() if size == "tiny" else spectrostream_config.released()
    tensors = spectrostream_network.random_tensors(codec)
    models = Models(
        codec=SpectroStream.from_tensors(codec, tensors),
        lm_config=config,
        lm_params=_random_params(config),
        packed_decoders=decoders,
    )
    codes = random_codes(models, (config.style_levels,))
    return Subject(
        size=size, models=models, style=Style(None, codes), controls=_CONTROLS, dtype=dtype, weights="random", layers=layers
    )


def _loaded(bundle: Path | None, dtype: str, storage: str | None) -> Subject:
    model = system.load(bundle)
    models = model.models
    if dtype != models.lm_config.activation_dtype:
        config = dataclasses.replace(models.lm_config, activation_dtype=dtype)
        params = jax.tree.map(lambda leaf: leaf.astype(dtype), models.lm_params)
        models = dataclasses.replace(models, lm_config=config, lm_params=params, packed_decoders=None)
    if storage is not None:
        decoders = _decoders(models.lm_config, models.averaged, storage)
        models = dataclasses.replace(models, packed_decoders=decoders)
    codes = random_codes(models, (models.lm_config.style_levels,))
    size = "starter" if bundle is None else "bundle"
    style, weights = Style(None, codes), model.bundle.path.name
    return Subject(size=size, models=models, style=style, controls=model.defaults, dtype=dtype, weights=weights)


def _decoders(config: LMConfig, averaged: AveragedLevels | None, storage: str) -> PackedDecoders:
    """For the frame loop, with weights in `storage`.

    Raises:
      ValueError: on this device XLA makes the frames of such a model.
    """
    if not narrow_decode.can_loop(config, storage):
        raise ValueError(
            f"the storage is {storage!r}, but XLA makes the frames of this model here; leave the storage out, or take int8 "
            "on a CPU"
        )
    return PackedDecoders(config, averaged, storage)


def _random_params(config: LMConfig) -> dict[str, Any]:
    """Weights as large as fresh ones (lm.initialise), in the activations' type; one array after the other goes to the
    device, so that the host holds little at a time."""
    drawn = np.random.default_rng(0).standard_normal(_DRAWN, np.float32)
    deviation, flat = lm_deviation(config), {}
    for path, shape in parameter_shapes(config).items():
        values = np.ones(shape, np.float32) if path.endswith("scale") else _filled(drawn, shape, deviation(path, shape))
        flat[path] = jnp.asarray(values, config.activation_dtype)
    return unflatten_dict(flat, sep="/")


def _filled(
    drawn: Float[np.ndarray, "numbers"], shape: tuple[int, ...], deviation: float
) -> Float[np.ndarray, "*shape"]:
    return (np.resize(drawn, math.prod(shape)) * np.float32(deviation)).reshape(shape)


def _count(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
