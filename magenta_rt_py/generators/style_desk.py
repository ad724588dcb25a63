"""Style desk: turns prompts into style codes while the music plays, on a thread of its own.

    knobs prompt/N/text, prompt/N/weight -+
                                          +-> embeddings (kept) -> weighted mean -> style codes
    live prompt: the performer's sound ---+

A prompt that is being embedded leaves the style as it was until it is ready. One that cannot be embedded is said once and
left out. Turning any other knob needs no thread and takes effect at once. Where nothing has to be in time, offline, the desk
is waited for, so that the same moves give the same music.

Stateful shell; the towers are the style model's.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py import audio
from magenta_rt_py.generators import styles
from magenta_rt_py.generators.system import MusicModel
from magenta_rt_py.live import live_prompt
from magenta_rt_py.live.board import Settings

__all__ = ["StyleDesk", "prompts_of"]

KEPT_EMBEDDINGS = 200
"""Prompts whose embeddings are remembered."""
SLOTS = 8
PATIENCE_SECONDS = 30.0
"""An embedding that takes longer is not waited for."""

Prompts = tuple[tuple[str, float], ...]


class StyleDesk:
    """A `live.session.Styles`.

    Attributes:
      problem: the prompt of the mix that could not be embedded last, in one line; None if all is well.
    """

    def __init__(
        self, model: MusicModel, *, config: live_prompt.LivePromptConfig | None = None, is_waited_for: bool = False
    ) -> None:
        """Starts the thread.

        Args:
          model: the loaded bundle.
          config: of the live prompt.
          is_waited_for: `ask` and `hear` come back when all is ready: for rendering offline.
        """
        self.problem: str | None = None
        self._failed: str | None = None
        self._model = model
        self._config = config or live_prompt.LivePromptConfig()
        self._is_waited_for = is_waited_for
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._latest: tuple[int, tuple[int, ...] | None] = (-1, None)
        self._made_of: tuple[Prompts, float, int] | None = None
        self._wanted: tuple[int, Prompts, float] | None = None
        self._live: np.ndarray | None = None
        self._live_weight = 0.0
        self._live_number = 0
        self._to_embed: live_prompt.Snapshot | None = None
        self._embedded: tuple[live_prompt.Snapshot, np.ndarray] | None = None
        self._lock, self._wake, self._closed = threading.Lock(), threading.Event(), False
        self._thread = threading.Thread(target=self._work, name="styles", daemon=True)
        self._thread.start()

    @property
    def latest(self) -> tuple[int, tuple[int, ...] | None]:
        """See Styles."""
        return self._latest

    def ask(self, settings: Settings) -> None:
        """See Styles."""
        prompts, weight = prompts_of(settings.values), settings.values["inject/live_prompt"]
        self._live_weight = weight
        with self._lock:
            if self._made_of == (prompts, weight, self._live_number) and self._wanted is None:
                self._latest = (settings.sequence, self._latest[1])
                return
            self._wanted = (settings.sequence, prompts, weight)
        self._wake.set()
        if self._is_waited_for:
            self.wait(PATIENCE_SECONDS)

    def hear(self, prompt: live_prompt.LivePromptState) -> live_prompt.LivePromptState:
        """See Styles; `prompt` is a LivePromptState."""
        done, self._embedded = self._embedded, None
        if done is not None:
            prompt = live_prompt.store(prompt, done[0].end_sample, done[1])
        if self._live_weight and self._to_embed is None and live_prompt.is_due(self._config, prompt):
            prompt, self._to_embed = live_prompt.ask(self._config, prompt)
            self._wake.set()
        if prompt.embedding is not self._live:
            with self._lock:
                self._live, self._live_number = prompt.embedding, self._live_number + 1
                if self._wanted is None and self._made_of is not None and self._made_of[1]:
                    self._wanted = (self._latest[0], *self._made_of[:2])
            self._wake.set()
        if self._is_waited_for:
            self.wait(PATIENCE_SECONDS)
        return prompt

    def wait(self, seconds: float) -> bool:
        """Waits until everything that was asked for is ready; for the beginning of a performance, and for tests."""
        ends = threading.Event()
        for _ in range(max(1, round(seconds / 0.01))):
            if self._wanted is None and self._to_embed is None:
                return True
            ends.wait(0.01)
        return False

    def close(self) -> None:
        """Ends the thread."""
        self._closed = True
        self._wake.set()
        self._thread.join(5.0)

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            self._embed_live()
            while (wanted := self._wanted) is not None and not self._closed:
                self._serve(*wanted)

    def _serve(self, sequence: int, prompts: Prompts, weight: float) -> None:
        live, number = self._live, self._live_number
        self._failed = None
        pairs = [(vector, share) for text, share in prompts if (vector := self._embedding(text)) is not None]
        if live is not None and weight:
            pairs.append((live, weight))
        style = self._try(lambda: self._model.style_from(pairs), "mix")
        codes = self._latest[1] if style is None else None if style.codes is None else tuple(map(int, style.codes))
        with self._lock:
            self._latest, self._made_of, self.problem = (sequence, codes), (prompts, weight, number), self._failed
            if self._wanted == (sequence, prompts, weight):
                self._wanted = None

    def _embedding(self, text: str) -> Float[np.ndarray, "dim"] | None:
        if text not in self._known:
            vector = self._try(lambda: styles.embed(self._model.style_model, styles.as_prompt(text)), text)
            if vector is None:
                return None
            self._known[text] = vector
            while len(self._known) > KEPT_EMBEDDINGS:
                self._known.popitem(last=False)
        self._known.move_to_end(text)
        return self._known[text]

    def _embed_live(self) -> None:
        snapshot = self._to_embed
        if snapshot is None:
            return
        sound = audio.Audio(samples=np.array(snapshot.samples), sample_rate=audio.SAMPLE_RATE_HZ)
        self._failed = None
        vector = self._try(lambda: styles.embed(self._model.style_model, sound), "the live prompt")
        if vector is not None:
            self._embedded = (snapshot, vector)
        else:
            self.problem = self._failed
        self._to_embed = None

    def _try(self, embed: Callable[[], Any], name: str) -> Any:
        try:
            return embed()
        except Exception as error:  # the thread must outlive any file and any text
            self._failed = f"prompt {name[:60]!r} is left out: {' '.join(str(error).split())[:300] or type(error).__name__}"
            return None


def prompts_of(values: Mapping[str, Any]) -> Prompts:
    """Texts and weights of the slots that are in use."""
    pairs = ((values[f"prompt/{slot}/text"], values[f"prompt/{slot}/weight"]) for slot in range(1, SLOTS + 1))
    return tuple((text, weight) for text, weight in pairs if text and weight)
