"""A request for frames of one stream: what may change from one to the next, and what is computed once for all its frames.

Rows are the variants that guidance compares, see `lm.decode`.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from magenta_rt_py.lm import clock
from magenta_rt_py.lm.averaging import AveragedLevels
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.model import LanguageModel, Params
from magenta_rt_py.lm.sampling import SamplingConfig
from magenta_rt_py.lm.vocabulary import AnyArray
from magenta_rt_py.nn.attention import KeyValue

MASKED_ROW = 1
"""Place of the masked row."""


class Controls(NamedTuple):
    """Everything that may change from request to request without a new compilation."""

    temperature: Float[Array, "*streams"]
    top_k: Int[Array, "*streams"]
    guidance_weight: Float[Array, "*streams"]
    input_guidance_weight: Float[Array, "*streams"]
    context_clock: Float[Array, "*streams context features"]  # zero rows are unset
    target_clock: Float[Array, "*streams frames features"]


class Prepared(NamedTuple):
    """What is computed once a request."""

    cross: tuple[KeyValue, ...]
    temporal_bias: Float[Array, "heads frames frames"]
    depth_bias: Float[Array, "heads levels levels"]
    first_input: Float[Array, "rows 1 dim"]
    added_inputs: Float[Array, "rows frames dim"]  # of bar recall and style
    clock_rows: Float[Array, "rows frames features"]


def make_controls(
    config: LMConfig,
    frames: int,
    sampling: SamplingConfig | None = None,
    *,
    context_clock: Float[np.ndarray, "context features"] | None = None,
    target_clock: Float[np.ndarray, "frames features"] | None = None,
) -> Controls:
    """Controls of one stream.

    Args:
      frames: frames the request will make.
      sampling: None takes the defaults.
      context_clock, target_clock: rows of `lm.clock.clock_features`; None is unset.
    """
    sampling = sampling or SamplingConfig()
    if context_clock is None:
        context_clock = clock.unset_clock(config.context_frames)
    if target_clock is None:
        target_clock = clock.unset_clock(frames)
    expected = ((config.context_frames, clock.NUM_FEATURES), (frames, clock.NUM_FEATURES))
    if (context_clock.shape, target_clock.shape) != expected:
        raise ValueError(f"got clocks {context_clock.shape} and {target_clock.shape}, expected {expected}")
    return Controls(
        temperature=jnp.float32(sampling.temperature),
        top_k=jnp.int32(sampling.top_k),
        guidance_weight=jnp.float32(sampling.guidance_weight),
        input_guidance_weight=jnp.float32(sampling.input_guidance_weight),
        context_clock=jnp.asarray(context_clock, jnp.float32),
        target_clock=jnp.asarray(target_clock, jnp.float32),
    )


def prepare(
    params: Params, config: LMConfig, encoder_tokens: Int[Array, "rows tokens"], controls: Controls, frames: int
) -> Prepared:
    """Encodes, and computes all else that no generated id changes."""
    rows = encoder_tokens.shape[0]
    encoded = apply(params, config, "encode", encoder_tokens, _clock_of_rows(controls.context_clock, rows))
    temporal_bias, depth_bias = apply(params, config, "biases", frames)
    clock_rows = _clock_of_rows(controls.target_clock, rows)
    added = apply(params, config, "added_inputs", encoder_tokens, clock_rows)
    return Prepared(
        cross=apply(params, config, "cross", encoded),
        temporal_bias=temporal_bias,
        depth_bias=depth_bias,
        first_input=apply(params, config, "first_input", encoder_tokens),
        added_inputs=jnp.broadcast_to(added, (rows, frames, config.dim)),
        clock_rows=clock_rows,
    )


def apply(params: Params, config: LMConfig, method: str, *arguments: Any) -> Any:
    """A method of `model.LanguageModel`, of materialized parameters."""
    return LanguageModel(config.plain).apply({"params": params}, *arguments, method=method)


def check_request(config: LMConfig, encoder_tokens: Int[AnyArray, "rows tokens"], frames: int) -> None:
    """Refuses a request that the model cannot serve.

    Raises:
      ValueError: a wrong number of frames, rows or tokens.
    """
    rows, tokens = encoder_tokens.shape
    if not 1 <= frames <= config.chunk_frames:
        raise ValueError(f"got frames {frames}, expected 1..{config.chunk_frames}: ask for more in a further request")
    if not 1 <= rows <= 3 or tokens != config.encoder_tokens:
        raise ValueError(
            f"got encoder tokens of shape {(rows, tokens)}, expected 1 to 3 rows of {config.encoder_tokens}: "
            "make them with vocabulary.encoder_inputs"
        )


def check_averaged(config: LMConfig, averaged: AveragedLevels | None, *, exact: bool) -> None:
    """Refuses code vectors that do not go with the configuration.

    Raises:
      ValueError: not as many levels as it averages, or any in exact mode.
    """
    count = 0 if averaged is None else len(averaged.vectors)
    if count != config.averaged_levels or (exact and count):
        raise ValueError(
            f"got {count} averaged levels{' in exact mode' * exact}, the configuration has {config.averaged_levels}: "
            "give averaging.averaged_levels of the codec's code vectors; exact mode is for models that draw all levels"
        )


def _clock_of_rows(clock_rows: Float[Array, "frames features"], rows: int) -> Float[Array, "rows frames features"]:
    """The clock for every row; unset for the masked one."""
    is_masked = np.arange(rows) == MASKED_ROW
    return jnp.where(is_masked[:, None, None], 0.0, clock_rows)
