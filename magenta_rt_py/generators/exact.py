"""Exact mode: the released models as the released program runs them, to compare with it. Pure.

    requests     of 2 s, no shorter
    drawing      from the whole vocabulary; ids of another level are wrapped into theirs; nothing but PAD after id MASK
    dtypes       parameters float32; activations bfloat16; the decoder's residual stream and the logits float32
    codec        every chunk decoded anew, from silence, with the frame before it: the first time a frame of zeros
    joining      a crossfade of 40 ms
    seeds        chunk n draws from the key of seed + n (the generator of random numbers is another one)

Without it the same weights are played better: ids keep to their level, the codec's state runs on, requests may be short.
Source: Live Music Models, section 2.3, and the released program.
"""

from __future__ import annotations

import dataclasses

from magenta_rt_py.generators.models import Models

__all__ = ["CONTINUITY", "exact"]

CONTINUITY = "crossfade"
"""How the released program joins chunks, see `codec_lm.init_state`."""

OURS = ("clock", "logits_bias", "summary_at_every_level", "continue_context", "bar_recall", "style_at_every_frame")
"""What the released language models do not have."""


def exact(models: Models) -> Models:
    """The same models, to be run as the released program runs them.

    Raises:
      ValueError: the language model is not of the released geometry.
    """
    config = models.lm_config
    ours = [name for name in OURS if getattr(config, name)]
    if config.context_positions_per_frame != config.context_levels:
        ours.append("context_positions_per_frame")
    if models.refinement_params is not None:
        ours.append("refinement")
    if ours:
        raise ValueError(
            f"exact mode is for released models, and this one has {', '.join(ours)}, which they have not; "
            "leave exact mode out, or give the bundle of a released model"
        )
    return dataclasses.replace(models, is_exact=True, lm_config=dataclasses.replace(config, activation_dtype="bfloat16"))
