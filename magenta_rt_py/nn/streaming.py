"""The streaming contract, and how a layer states what it keeps of it.

    state = init_state(batch)
    state, outputs = step(state, inputs)        # any number of inputs; carry first, so that step is a lax.scan body

All that the next call needs is in the state, a pytree (typing.NamedTuple, or arrays and tuples of them); layers
themselves are immutable. `testing.check_streaming` proves the contract for a layer.

    inputs    |<- past_inputs ->|  present  |<- lookahead_inputs ->|
    outputs                     |  whole    |
    streamed  ... delay_outputs later than in the whole result
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamingLayer:
    """A layer, whole and streamed, with its declared reach. Axis 0 is the batch, axis 1 is time."""

    whole: Callable[[Any], Any]  # inputs -> outputs
    init_state: Callable[[int], Any]  # batch -> state
    step: Callable[[Any, Any], tuple[Any, Any]]  # (state, inputs) -> (state, outputs)
    inputs_per_output: int = 1  # 1920 for samples to codes
    outputs_per_input: int = 1  # 1920 for codes to samples
    delay_outputs: int = 0  # outputs at the start of a stream that lie before the start of the whole result
    lookahead_inputs: int = 0  # inputs after an output's own that it depends on
    past_inputs: int | None = None  # inputs before an output's own that it depends on; None: all


def step_streams(
    step: Callable[..., tuple[Any, Any]], states: tuple[Any, ...], *inputs: Any
) -> tuple[tuple[Any, ...], Any]:
    """`step(state, *inputs)` for several streams in one program, each at a point of its own.

    Args:
      step: of one stream.
      states: one a stream. Apart, so that a stream's state can come and go with it.
      inputs: arrays with a leading stream axis.
    Returns:
      next states, one a stream, and outputs with a leading stream axis.
    """
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    stacked, outputs = jax.vmap(step)(stacked, *inputs)
    return tuple(jax.tree.map(lambda leaf, place=place: leaf[place], stacked) for place in range(len(states))), outputs
