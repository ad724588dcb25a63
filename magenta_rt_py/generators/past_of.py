"""Past of a sound: its last ten seconds as frames, so that the music goes on from there. Pure.

    sound   ... | warm-up |<------- ten seconds ------->|
    frames                | o o o o o o o o o o o o o o |   codes; beat and tempo unknown

Where the beats of a sound lie nobody has said, and nothing here guesses: its frames have none, and the model reads their
clock as unset, as it does after `codec_lm.prime` without a tempo.
"""

from __future__ import annotations

import math

import numpy as np

from magenta_rt_py import audio
from magenta_rt_py.generators.hearing import WARM_UP_FRAMES
from magenta_rt_py.generators.models import Models
from magenta_rt_py.generators.state import FRAME_SAMPLES
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.output import LOUDEST_INPUT

__all__ = ["past_of"]

RESAMPLED_SECONDS = 0.5
"""Sound before what is wanted that is resampled with it, so that no edge of the filter is heard."""


def past_of(models: Models, sound: audio.Audio) -> tuple[Frame | None, ...]:
    """The last ten seconds of a sound as frames to go on from, for `Session.bring`.

    Args:
      models: the loaded models; of them the codec encodes.
      sound: any rate and channels, at least 40 ms.
    Returns:
      as many frames as the model's context has, each with the codes that the model makes; None before a shorter sound.
    Raises:
      ValueError: there is less than one frame of it, or a sample is NaN or infinite.
    """
    config = models.lm_config
    whole = config.context_frames + WARM_UP_FRAMES
    needed_seconds = whole * FRAME_SAMPLES / audio.SAMPLE_RATE_HZ + RESAMPLED_SECONDS
    end = sound.samples[-math.ceil(needed_seconds * sound.sample_rate) :]
    if not np.isfinite(end).all():
        raise ValueError("a sound with NaN or infinite samples cannot be gone on from; export it again as WAV or FLAC")
    samples = audio.to_stereo_48k(audio.Audio(samples=end, sample_rate=sound.sample_rate)) if len(end) else end
    frames = min(len(samples) // FRAME_SAMPLES, config.context_frames)
    if not frames:
        raise ValueError(f"a sound of {sound.seconds:.3f} s to go on from; give at least 0.04 s")
    # Always of one length, with silence before a shorter sound: the codec compiles one program for all of them.
    heard = np.zeros((1, whole * FRAME_SAMPLES, 2), np.float32)
    kept = np.clip(samples[-whole * FRAME_SAMPLES :], -LOUDEST_INPUT, LOUDEST_INPUT)
    heard[0, whole * FRAME_SAMPLES - len(kept) :] = kept
    codes = models.codec.encode(heard)[0, -frames:, : config.num_levels].astype(np.int32)
    return (*(None,) * (config.context_frames - frames), *(Frame(row, math.nan, math.nan) for row in codes))
