"""A take: a score played from the beginning to its end, as an array."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from magenta_rt_py.generators.score import Score
from magenta_rt_py.generators.state import CHUNK_FRAMES, FRAME_SAMPLES, SAMPLE_RATE

if TYPE_CHECKING:
    from magenta_rt_py.generators.system import MusicModel

LONGEST_SECONDS = 3_600.0


class Take(NamedTuple):
    """What was made and how long it took."""

    samples: Float[np.ndarray, "samples 2"]
    """48 kHz stereo, below -0.3 dB full scale."""
    model_seconds: float
    """Wall time spent making sound: language model, refinement and codec, compilation included."""
    compile_seconds: float
    """How much of model_seconds the first request took more than the median of the others."""
    request_seconds: tuple[float, ...]
    """Wall time of each 2 s request."""

    @property
    def rtf(self) -> float:
        """Seconds of sound made for each second of model time, the first request (which may compile) left out if
        there are others; above 1 is live."""
        timed = self.request_seconds[1:] or self.request_seconds
        return len(timed) * CHUNK_FRAMES * FRAME_SAMPLES / SAMPLE_RATE / max(sum(timed), 1e-9)

    @property
    def peak_db(self) -> float:
        """Loudest sample in dB full scale; -inf for silence."""
        peak = float(np.max(np.abs(self.samples), initial=0.0))
        return float(20.0 * np.log10(peak)) if peak else float("-inf")


def check_seconds(seconds: float) -> None:
    """Refuses a length that is no length.

    Raises:
      ValueError: unless 0 < seconds <= 3600.
    """
    if not 0.0 < seconds <= LONGEST_SECONDS:
        raise ValueError(f"a take of {seconds!r} seconds; give more than 0 and at most {LONGEST_SECONDS:g}")


def play_score(
    model: MusicModel,
    score: Score,
    *,
    seconds: float,
    seed: int,
    continuity: str = "stream",
    exact: bool = False,
    sources: Mapping[str, Any] | None = None,
    on_chunk: Callable[[float], None] | None = None,
) -> Take:
    """Plays a score into one array, chunk by chunk; the mix of a chunk is that of the score at the chunk's middle.

    Args:
      model: the loaded model.
      score: prompts and knobs over time. Every prompt is embedded once, before the first chunk.
      seconds: length of the take, at most an hour.
      seed: of the take.
      continuity: how chunks are joined, see `codec_lm.init_state`.
      exact: as the released program does it, see `exact.py`.
      sources: what the score's prompts stand for, as `styles.as_prompt` made it out; None lets this function do that.
      on_chunk: told the seconds made, after every chunk.
    """
    check_seconds(seconds)
    stream = model.stream(seed=seed, controls=score.controls(0.0), continuity=continuity, exact=exact)
    embeddings = {prompt: model.embed((sources or {}).get(prompt, prompt)) for prompt in score.prompts}
    length = round(seconds * SAMPLE_RATE)
    chunk_seconds = CHUNK_FRAMES * FRAME_SAMPLES / SAMPLE_RATE
    pieces, request_seconds = [], []
    for index in range(-(-length // (CHUNK_FRAMES * FRAME_SAMPLES))):
        middle = (index + 0.5) * chunk_seconds
        started = time.perf_counter()
        weights = score.weights(middle)
        stream.set_style(model.style_from([(embeddings[prompt], weight) for prompt, weight in weights.items()]))
        stream.controls = score.controls(middle)
        pieces.append(stream.next_chunk())
        request_seconds.append(time.perf_counter() - started)
        if on_chunk:
            on_chunk(stream.seconds)
    usual = float(np.median(request_seconds[1:])) if len(request_seconds) > 1 else request_seconds[0]
    return Take(
        samples=np.concatenate(pieces)[:length],
        model_seconds=sum(request_seconds),
        compile_seconds=max(request_seconds[0] - usual, 0.0),
        request_seconds=tuple(request_seconds),
    )
