"""SpectroStream's tensors under the names and layouts of the released files, and back. Pure functions of dicts.

Two releases hold the same architecture:
  safetensors   of Magenta RealTime 2: names are ours below one or two outer names, layouts are ours;
  SavedModels   of Magenta RealTime 1, one each for encoder, decoder and quantizer: Keras names, and transposed kernels
                in the layout of Keras.
Nobody here has held the real weights: names of the SavedModels' variables are those that others who loaded them have
published. "CHECK WITH WEIGHTS" marks what only the files themselves can confirm.
"""

import re
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from magenta_rt_py.codec.spectrostream_config import SpectroStreamConfig
from magenta_rt_py.codec.spectrostream_network import CODEBOOKS, tensor_shapes

Tensors = dict[str, np.ndarray]

# Names in the SavedModels where they differ from ours, first match first. CHECK WITH WEIGHTS.
_KERAS_NAMES = (
    (r"^encoder/output_convs/conv1x1_last/", "encoder/bottleneck/conv1x1_last/conv1x1/"),
    (r"^encoder/output_convs/shortcut_layer/conv1x1_b1/", "encoder/bottleneck/conv1x1_last/conv1x1_a/"),
    (r"^encoder/output_convs/shortcut_layer/conv1x1_b2/", "encoder/bottleneck/conv1x1_last/conv1x1_b/"),
    (r"^decoder/input_layer/conv1x1_first/", "decoder/input_layer/conv1x1_first/conv1x1/"),
    (r"^decoder/input_layer/shortcut_layer/conv1x1_b1/", "decoder/input_layer/conv1x1_first/conv1x1_a/"),
    (r"^decoder/input_layer/shortcut_layer/conv1x1_b2/", "decoder/input_layer/conv1x1_first/conv1x1_b/"),
    (r"^decoder/input_layers_residual_unit/", "decoder/input_layer/"),
    (r"^decoder/output_layer/base_conv_last/", "decoder/input_layer/base_conv_last/"),
    (r"/shortcut_layer/", "/shortcut/"),
)
_UNNORMALISED = "base_conv_last"  # the one convolution that the SavedModels keep without weight normalization
_TRANSPOSED = "/conv2dtranspose_"
_NAMED = 5  # names that an error spells out


def from_safetensors(config: SpectroStreamConfig, tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Tensors as SpectroStream.from_tensors reads them, from those of the released safetensors files put together.

    Args:
      tensors: "params/encoder/..." and "params/soundstream/{decoder,quantizer}/...", with either of the outer names,
        both or none; the same tensor may come twice if it is equal (decoder and quantizer stand in several files).
        Other parts of "params/" must have been left out (the language model's are "params/depthformer/...").
    Raises:
      ValueError: if a tensor is missing, unknown, of the wrong shape, or two of one name differ.
    """
    found: Tensors = {}
    for name, value in tensors.items():
        ours = name.removeprefix("params/").removeprefix("soundstream/")
        if ours in found and not np.array_equal(found[ours], value):
            raise ValueError(f"got two different tensors {ours!r}, expected one; take the files of one release")
        found[ours] = value
    return _checked(config, found, "the safetensors files")


def to_safetensors(tensors: Mapping[str, np.ndarray]) -> Tensors:
    """The inverse of from_safetensors, under the released names in full."""
    return {
        ("params/" if name.startswith("encoder/") else "params/soundstream/") + name: value
        for name, value in tensors.items()
    }


def from_saved_models(
    config: SpectroStreamConfig,
    *,
    encoder: Mapping[str, np.ndarray],
    decoder: Mapping[str, np.ndarray],
    codebooks: Mapping[int, Float[np.ndarray, "dim codebook_size"]],
) -> Tensors:
    """Tensors as SpectroStream.from_tensors reads them, from the variables of the three SavedModels.

    Args:
      encoder, decoder: variables by name, such as "decoder_0/conv2d_3x3/weight_norm/rescaled/kernel:0"; dots for slashes,
        one more or one less outer name and a missing ":0" are all right, and so are our own names. Flags and counters
        (booleans and scalars) are left out.
      codebooks: `_quantizers[level].embeddings` of the quantizer by level.
    Raises:
      ValueError: if a variable is missing, unknown or of the wrong shape.
    """
    shapes = tensor_shapes(config)
    found: Tensors = {}
    for part, variables in (("encoder", encoder), ("decoder", decoder)):
        ours_of = {_keras_name(name): name for name in shapes if name.startswith(f"{part}/")}
        ours_of |= {name: name for name in ours_of.values()}
        for name, value in variables.items():
            if np.ndim(value) == 0 or np.asarray(value).dtype == np.bool_:
                continue
            ours = _lookup(ours_of, part, name)
            if ours in found:
                raise ValueError(f"got variable {ours!r} twice in the {part}'s SavedModel, expected it once; drop one")
            found[ours] = kernel_from_keras(value) if _is_transposed(ours) and ours.endswith("kernel") else value
    levels = range(config.num_levels)
    if sorted(codebooks) != list(levels):
        raise ValueError(
            f"got codebooks of levels {sorted(codebooks)}, expected 0 to {config.num_levels - 1}; "
            "take all of the quantizer's _quantizers"
        )
    found[CODEBOOKS] = np.stack([np.transpose(codebooks[level]) for level in levels])
    return _checked(config, found, "the SavedModels")


def to_saved_models(tensors: Mapping[str, np.ndarray]) -> tuple[Tensors, Tensors, dict[int, np.ndarray]]:
    """The inverse of from_saved_models: encoder, decoder, codebooks; for tests and for others' programs."""
    parts: dict[str, Tensors] = {"encoder": {}, "decoder": {}}
    for name, value in tensors.items():
        part = name.split("/")[0]
        if part in parts:
            transposed = _is_transposed(name) and name.endswith("kernel")
            inner = _keras_name(name).removeprefix(f"{part}/")
            parts[part][f"{inner}:0"] = kernel_to_keras(value) if transposed else value
    return parts["encoder"], parts["decoder"], dict(enumerate(np.swapaxes(tensors[CODEBOOKS], 1, 2)))


def kernel_from_keras(kernel: Float[np.ndarray, "time bins out in"]) -> Float[np.ndarray, "time bins in out"]:
    """A transposed convolution's kernel in our layout: Keras stores it reversed in time and frequency, out before in."""
    return np.ascontiguousarray(np.swapaxes(np.asarray(kernel)[::-1, ::-1], 2, 3))


def kernel_to_keras(kernel: Float[np.ndarray, "time bins in out"]) -> Float[np.ndarray, "time bins out in"]:
    """The inverse of kernel_from_keras."""
    return np.ascontiguousarray(np.swapaxes(np.asarray(kernel), 2, 3)[::-1, ::-1])


def _is_transposed(name: str) -> bool:
    return _TRANSPOSED in name


def _keras_name(name: str) -> str:
    """encoder/encoder_0/conv2d_3x3/conv/kernel -> encoder/encoder_0/conv2d_3x3/weight_norm/rescaled/kernel."""
    for pattern, replacement in _KERAS_NAMES:
        name = re.sub(pattern, replacement, name)
    if _UNNORMALISED in name:
        return name
    return name.replace("/conv/kernel", "/weight_norm/rescaled/kernel").replace("/conv/bias", "/weight_norm/bias")


def _lookup(ours_of: Mapping[str, str], part: str, name: str) -> str:
    """Our name for a variable, whose own may have one outer name more or less."""
    plain = name.split(":")[0].replace(".", "/").strip("/")
    outer, _, inner = plain.partition("/")
    for candidate in (plain, f"{part}/{plain}", inner, f"{part}/{inner}"):
        if candidate in ours_of:
            return ours_of[candidate]
    raise ValueError(
        f"got variable {name!r} in the {part}'s SavedModel, expected one such as {min(ours_of)!r}; "
        "take the released SavedModels, or leave it out"
    )


def _checked(config: SpectroStreamConfig, found: Mapping[str, np.ndarray], source: str) -> Tensors:
    """The tensors as float32, all there and of the right shape."""
    expected = tensor_shapes(config)
    complaints = {
        "lacks": [name for name in expected if name not in found],
        "has unknown": [name for name in found if name not in expected],
        "has of the wrong shape": [
            f"{name} {np.shape(found[name])} instead of {shape}"
            for name, shape in expected.items()
            if name in found and np.shape(found[name]) != shape
        ],
    }
    if any(complaints.values()):
        said = "; ".join(f"{what} {_some(names)}" for what, names in complaints.items() if names)
        raise ValueError(f"SpectroStream from {source}: {said}; expected the {len(expected)} tensors of one release")
    return {name: np.ascontiguousarray(found[name], np.float32) for name in expected}


def _some(names: list[str]) -> str:
    """The first names, and how many more."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names)[:_NAMED]) + more
