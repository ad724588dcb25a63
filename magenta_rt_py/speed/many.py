"""Several streams in one batch, as the server plays them: one run of the language model, and their sound together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from magenta_rt_py.generators import codec_lm, sound_batch
from magenta_rt_py.generators.live_batch import LiveBatch, Part
from magenta_rt_py.generators.safety import guard
from magenta_rt_py.generators.state import LiveState
from magenta_rt_py.speed.subject import Subject


class Batch:
    """Warm streams that make their requests together, guidance on; for measuring, so none joins and none leaves."""

    def __init__(self, subject: Subject, streams: int, frames: int):
        """Starts them.

        Args:
          subject: what they play.
          streams: how many, each with its own seed.
          frames: of every request.
        """
        self._subject, self._frames = subject, frames
        self._states = [subject.stream(seed=seed).state for seed in range(streams)]
        self._batch = LiveBatch(subject.models, sizes=sorted({1, streams}))

    def next_chunk(self) -> Float[np.ndarray, "streams samples 2"]:
        """The next request of all streams: frames * 1920 samples each."""
        models, width = self._subject.models, len(self._states)
        ahead = [codec_lm.clock_ahead(state.beat, self._subject.controls.bpm, self._frames) for state in self._states]
        made = self._batch.run([self._part(state, clock) for state, (clock, _) in zip(self._states, ahead, strict=True)])
        wanted = {place: sound_batch.Stream(self._states[place], one.codes) for place, one in enumerate(made)}
        sounds = sound_batch.render(models, wanted, width=width)
        for place, (clock, beat) in enumerate(ahead):
            # As in generate_chunk: of the past only the context remains.
            after = codec_lm.remember(sounds[place][0], self._codes(made[place].codes), clock)
            self._states[place] = after._replace(beat=beat, frame_index=np.asarray(after.frame_index + self._frames))
        return np.stack([guard(sounds[place][1]) for place in range(width)])

    def _part(self, state: LiveState, clock: Float[np.ndarray, "frames features"]) -> Part:
        style = np.asarray(self._subject.style.codes)
        inputs = codec_lm.request_inputs(self._subject.models, state, style, self._subject.controls, clock)
        return Part(*inputs, int(state.seed), int(state.frame_index))

    def _codes(self, coarse: np.ndarray) -> np.ndarray:
        """Codes as wide as the context, of which the model reads the coarse ones alone."""
        return np.pad(coarse, ((0, 0), (0, self._subject.models.num_levels - coarse.shape[1])))
