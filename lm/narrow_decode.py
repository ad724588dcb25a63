"""Generation on a CPU with a narrow model, or a wide one stored in int8: one JAX call for all that is computed once a
request, then the frame loop.

    JAX     encoder, keys and values, biases, inputs that no id changes, noise
    numba   temporal steps, depth steps, guidance, draws (lm.frame_loop)
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from magenta_rt_py.lm import frame_loop
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.model import Params
from magenta_rt_py.lm.packing import Packed
from magenta_rt_py.lm.request import Controls, apply, prepare
from magenta_rt_py.lm.sampling import noise
from magenta_rt_py.lm.vocabulary import AnyArray
from magenta_rt_py.nn.cores import NARROW_DIM, ONE_CORE


def can_loop(config: LMConfig, storage: str) -> bool:
    """Whether the frame loop is for such a model, here: narrow or stored in int8, in float32, on a CPU.

    Args:
      config: of the plain model.
      storage: of its weights. The loop has one core: a wide model in float32 is quicker with XLA, which has them all.
    """
    is_small = config.dim <= NARROW_DIM or storage == "int8"
    return is_small and config.activation_dtype == "float32" and jax.default_backend() == "cpu"


def generate(
    params: Params,
    packed: Packed,
    config: LMConfig,
    encoder_tokens: Int[AnyArray, "rows tokens"],
    controls: Controls,
    key: PRNGKeyArray | Array,
    *,
    frames: int,
) -> Int[np.ndarray, "frames levels"]:
    """Codes as `decode.generate` makes them, which checks the request; the draws are the same but for rounding.

    Args:
      params: plain parameters, for the encoder.
      packed: the decoder's, of the same model.
    """
    prepared = inputs_of if config.dim <= NARROW_DIM else inputs_of_wide
    inputs = jax.tree.map(np.asarray, prepared(params, config, encoder_tokens, controls, key, frames=frames))
    knobs = frame_loop.Knobs(
        float(controls.temperature),
        int(controls.top_k),
        float(controls.guidance_weight),
        float(controls.input_guidance_weight),
    )
    return frame_loop.run(packed, inputs, knobs, summary_at_every_level=config.summary_at_every_level)


def _inputs(
    params: Params,
    config: LMConfig,
    encoder_tokens: Int[Array, "rows tokens"],
    controls: Controls,
    key: PRNGKeyArray | Array,
    *,
    frames: int,
) -> frame_loop.Inputs:
    """What the frame loop reads besides the parameters."""
    prepared = prepare(params, config, encoder_tokens, controls, frames)
    added = prepared.added_inputs
    if config.clock:
        added = added + apply(params, config, "clock_inputs", prepared.clock_rows)
    draws = (jnp.arange(frames)[:, None] * config.num_levels + jnp.arange(config.drawn_levels)).reshape(-1)
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(draws)
    drawn = noise(keys, config.codebook_size, controls.top_k)
    return frame_loop.Inputs(
        # Keys as columns: the loop then sums whole rows of positions, which fill vector registers.
        cross_keys=jnp.stack([memory.key.swapaxes(2, 3) for memory in prepared.cross]),
        cross_values=jnp.stack([memory.value for memory in prepared.cross]),
        temporal_bias=prepared.temporal_bias,
        depth_bias=prepared.depth_bias,
        first_input=prepared.first_input[:, 0].astype(jnp.float32),
        added_inputs=added.astype(jnp.float32),
        noise=drawn.reshape(frames, config.drawn_levels, -1),
    )


inputs_of = jax.jit(_inputs, static_argnames=("config", "frames"), compiler_options=ONE_CORE)
"""Of a narrow model."""
inputs_of_wide = jax.jit(_inputs, static_argnames=("config", "frames"))
"""Of any other: the encoder's products are large, and all cores share them."""
