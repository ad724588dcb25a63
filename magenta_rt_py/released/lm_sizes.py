"""Sizes of a released language model: read off its tensors, and held against the settings that lie beside it.

The tensors tell every size of the network. They do not tell the compute type, nor how the vocabulary is laid out where
it is not the released one: that is taken from the settings, or assumed and said.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import NamedTuple

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.lm.config import NUM_SPECIAL, VOCABULARY_MULTIPLE, LMConfig, base
from magenta_rt_py.lm.model import parameter_shapes

Shapes = Mapping[str, tuple[int, ...]]

EMBEDDING = "token_embedder/embedding"
TEMPORAL_BIAS = "decoder/decoder/temporal_decoder/relpos_bias/rel_embedding"
DEPTH_BIAS = "decoder/decoder/depth_decoder/relpos_bias_depth/rel_embedding"
STACKS = {
    "encoder_layers": "encoder/layers_",
    "temporal_layers": "decoder/decoder/temporal_decoder/layers_",
    "depth_layers": "decoder/decoder/depth_decoder/depth_layers_",
}
SETTINGS = {
    "EMBED_DIM": "dim",
    "NUM_HEADS": "num_heads",
    "HEAD_DIM": "head_dim",
    "MLP_DIM": "mlp_dim",
    "NUM_ENCODER_LAYERS": "encoder_layers",
    "NUM_TEMPORAL_LAYERS": "temporal_layers",
    "NUM_DEPTH_LAYERS": "depth_layers",
    "NUM_LEVELS": "num_levels",
}
"""Macros of the released settings -> the size that they give, where the tensors give it too."""
MOST_CODES = 1024
"""Codebook size of the released codec and style quantizer."""


class Size(NamedTuple):
    """A size read off a tensor.

    Attributes:
      value: the size.
      evidence: the tensor and its shape, or the names that were counted.
    """

    value: int
    evidence: str


class Sizes(NamedTuple):
    """What a checkpoint is.

    Attributes:
      config: geometry, in the plain released form.
      assumed: what neither tensors nor settings say, in words.
    """

    config: LMConfig
    assumed: tuple[str, ...]


def find_sizes(shapes: Shapes, settings: Mapping[str, object] | None = None, settings_name: str = "the settings") -> Sizes:
    """The geometry of a checkpoint.

    Args:
      shapes: slash path -> shape of every tensor.
      settings: as `gin.parse` gives them; None if there are none.
      settings_name: of their file, for messages.
    Raises:
      CheckpointError: the tensors are not those of one such model (what is missing, surplus or of a wrong shape is
        named), or settings and tensors disagree.
    """
    given = dict(settings or {})
    found = _sizes_of_tensors(shapes)
    for name, field in SETTINGS.items():
        if name in given and given[name] != found[field].value:
            raise CheckpointError(
                f"{settings_name} says {name} = {given[name]!r}, but the tensors have {found[field].value} "
                f"({found[field].evidence}); use the settings of this checkpoint, or none"
            )
    layout, assumed = _token_layout(shapes[EMBEDDING][0], found["num_levels"].value, given, settings_name)
    dtype = given.get("ACTIVATION_DTYPE", "float32")
    try:
        config = LMConfig(
            **{name: size.value for name, size in found.items()},
            **layout,
            activation_dtype=str(dtype),
        )
        expected = expected_shapes(config)
    except (ValueError, ZeroDivisionError) as error:  # the second: a tensor without numbers
        raise CheckpointError(f"{settings_name} and the tensors make no model: {error}") from error
    check_shapes(shapes, expected)
    return Sizes(config, assumed)


@functools.lru_cache(maxsize=4)
def expected_shapes(config: LMConfig) -> Shapes:
    """Slash path -> shape of every tensor of a geometry; kept, because finding them means tracing the model."""
    return parameter_shapes(config)


def check_shapes(found: Shapes, expected: Shapes) -> None:
    """Refuses tensors that are not those of a geometry.

    Raises:
      CheckpointError: naming what is missing, surplus, or of a wrong shape.
    """
    problems = [f"missing {path} {shape}" for path, shape in expected.items() if path not in found]
    problems += [f"not expected: {path}" for path in found if path not in expected]
    problems += [
        f"{path} has shape {tuple(found[path])}, expected {shape}"
        for path, shape in expected.items()
        if path in found and tuple(found[path]) != tuple(shape)
    ]
    if problems:
        shown = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
        raise CheckpointError(f"these tensors are not those of the model that they should be: {shown}")


def _sizes_of_tensors(shapes: Shapes) -> dict[str, Size]:
    """Field of LMConfig -> size, for all that the tensors tell."""

    def axis(path: str, number: int) -> Size:
        if path not in shapes:
            raise CheckpointError(f"tensor {path!r} is missing, and with it a size of the model; get the checkpoint again")
        if len(shapes[path]) != 2:
            raise CheckpointError(f"tensor {path!r} has shape {tuple(shapes[path])}, expected two axes; get it again")
        return Size(shapes[path][number], f"{path} {list(shapes[path])}")

    sizes = {"dim": axis(EMBEDDING, 1), "num_heads": axis(TEMPORAL_BIAS, 0)}
    for field, stack in STACKS.items():
        numbers = [int(match[1]) for path in shapes if (match := re.match(rf"{re.escape(stack)}(\d{{1,4}})/", path))]
        sizes[field] = Size(max(numbers, default=-1) + 1, f"{stack}0 and up")
        if not numbers:
            raise CheckpointError(f"there is no tensor {stack}0/...; this is no Depthformer checkpoint")
    first = f"{STACKS['temporal_layers']}0"
    inner = axis(f"{first}/self_attention/query/kernel", 1)
    heads = sizes["num_heads"].value
    if heads < 1 or inner.value % heads:
        raise CheckpointError(f"{inner.evidence} is no multiple of the {heads} heads of {TEMPORAL_BIAS}; get it again")
    sizes["head_dim"] = Size(inner.value // heads, f"{inner.evidence} over {heads} heads")
    sizes["mlp_dim"] = axis(f"{first}/mlp/wi_0/kernel", 1)
    sizes["temporal_buckets"] = axis(TEMPORAL_BIAS, 1)
    sizes["depth_buckets"] = axis(DEPTH_BIAS, 1)
    sizes["num_levels"] = sizes["depth_buckets"]  # the released models have one bucket a level
    return sizes


def _token_layout(
    rows: int, num_levels: int, given: Mapping[str, object], settings_name: str
) -> tuple[dict[str, int], tuple[str, ...]]:
    """How the vocabulary and the sequences are laid out: the released layout where it fits, else the next to it."""
    released = base()
    layout = {"context_levels": _integer(given, "NUM_INPUT_LEVELS", min(released.context_levels, num_levels))}
    layout |= _lengths(layout["context_levels"], num_levels, given, settings_name)
    size = _integer(given, "seqio.PassThroughVocabulary.size", rows)
    if -(-size // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE != rows:
        raise CheckpointError(
            f"{settings_name} says seqio.PassThroughVocabulary.size = {size}, but {EMBEDDING} has {rows} rows, not {size} "
            f"rounded up to a multiple of {VOCABULARY_MULTIPLE}; use the settings of this checkpoint, or none"
        )
    if num_levels == released.num_levels and rows == released.vocabulary_rows:
        return layout, ()
    levels = num_levels + released.style_levels
    codes = MOST_CODES
    while codes > 1 and NUM_SPECIAL + levels * codes > size:
        codes //= 2
    unused = size - NUM_SPECIAL - levels * codes
    if unused < 0:
        raise CheckpointError(f"{EMBEDDING} has {rows} rows, too few for {levels} levels of codes; get the checkpoint again")
    layout |= {"codebook_size": codes, "reserved_tokens": 0, "unused_tokens": unused}
    assumed = f"{codes} codes a level and {released.style_levels} style levels: {rows} rows are not the released number"
    return layout, (assumed,)


def _lengths(
    context_levels: int, num_levels: int, given: Mapping[str, object], settings_name: str
) -> dict[str, int]:
    """Frames of context and of a request, from the lengths of the sequences that the model was trained on."""
    lengths = given.get("TASK_FEATURE_LENGTHS")
    if not isinstance(lengths, dict) or not all(isinstance(lengths.get(key), int) for key in ("inputs", "targets")):
        return {}
    context = lengths["inputs"] - base().style_levels
    if context < 0 or context % context_levels or lengths["targets"] % num_levels:
        raise CheckpointError(
            f"{settings_name} says TASK_FEATURE_LENGTHS = {lengths}, which are no whole frames of {context_levels} context "
            f"levels, {base().style_levels} style codes and {num_levels} levels ({DEPTH_BIAS}); use other settings, or none"
        )
    return {"context_frames": context // context_levels, "chunk_frames": lengths["targets"] // num_levels}


def _integer(given: Mapping[str, object], name: str, otherwise: int) -> int:
    value = given.get(name, otherwise)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else otherwise
