"""LiveState: everything that survives from one request to the next."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

SAMPLE_RATE = 48_000
"""Samples a second of the stream, in Hz."""
FRAME_RATE_HZ = 25
"""Codec frames a second."""
FRAME_SAMPLES = SAMPLE_RATE // FRAME_RATE_HZ
CHUNK_FRAMES = 50
"""Frames in a chunk: 2 seconds, the longest request and the length the model was trained on."""
CONTEXT_FRAMES = 250
"""Frames the encoder sees: 10 seconds, 5 chunks."""
CONTEXT_LEVELS = 4
"""Coarse levels of a frame that the encoder sees."""
STYLE_LEVELS = 6
"""Style codes that the encoder sees, of the style quantizer's 12."""
CLOCK_FEATURES = 11
"""Numbers the metrical clock gives for a frame; all zero means that no tempo is set."""
MISSING = -1
"""Code of a context frame that does not exist: before the stream began."""


class LiveState(NamedTuple):
    """State of one stream: a pytree of arrays, never changed in place, so an old state can be kept and replayed.

    No LM cache is in it. Every request reads the context anew (Source: Live Music Models, section 2.3.1, "stateless
    inference"), so controls act at once and context may be edited between requests.
    """

    context_codes: Int[np.ndarray, "context levels"]
    """The last 250 frames, all generated levels, newest last; -1 where nothing was played yet. The encoder reads the
    first 4 levels, the crossfade needs the newest frame in full."""
    context_clock: Float[np.ndarray, "context features"]
    """Metrical clock of the same frames, as they were made; zeros where no tempo was set."""
    beat: Float[np.ndarray, ""]
    """Position of the transport at the next frame, in beats (float64). Carried, so that a change of tempo keeps the
    phase."""
    codec_state: Any
    """continuity="stream": the codec's decode state, a pytree of its own. None with a crossfade."""
    crossfade_tail: Float[np.ndarray, "samples 2"] | None
    """continuity="crossfade": the decoded last frame, which the next chunk fades over. None when streaming."""
    refinement_state: Any
    """State of the model that fills the finer levels (the last frames' coarse codes); None if the bundle has none."""
    frame_index: Int[np.ndarray, ""]
    """Stream frames made so far (int64), primed frames not counted."""
    seed: Int[np.ndarray, ""]
    """Seed of the stream (int64). A request's PRNG key is folded from it and frame_index, nothing else."""


def filled_frames(state: LiveState) -> int:
    """Context frames that hold sound, 0 .. 250."""
    return int(np.sum(state.context_codes[:, 0] != MISSING))
