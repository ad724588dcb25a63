"""Style desk: turns prompts into style codes while the music plays, beside it.

    knobs prompt/N/text, weight, mute, solo -+
                                             +-> embeddings (kept) -> weighted mean -> style codes
    live prompt: the performer's sound ------+

A prompt that is being embedded leaves the style as it was until it is ready. One that cannot be embedded is said once and
left out. Prompts that are out of the mix are embedded when there is nothing else to do, so that turning them up is heard at
once. Turning any other knob needs no thread. Where nothing has to be in time, offline, the desk is waited for, so that the
same moves give the same music.

Stateful shell; the towers are the style model's, the threads a style pool's: its own, or one that many desks share.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from magenta_rt_py import audio
from magenta_rt_py.generators import styles
from magenta_rt_py.generators.style_pool import StylePool
from magenta_rt_py.generators.system import MusicModel
from magenta_rt_py.live import live_prompt
from magenta_rt_py.live.board import Settings
from magenta_rt_py.live.knobs import PROMPT_SLOTS

__all__ = ["StyleDesk", "prompts_of"]

KEPT_EMBEDDINGS = 200
"""Prompts whose embeddings a desk remembers."""
PATIENCE_SECONDS = 30.0
"""An embedding that takes longer is not waited for."""

Prompts = tuple[tuple[str, float], ...]


class StyleDesk:
    """A `live.session.Styles`.

    Attributes:
      problem: the prompt of the mix that could not be embedded last, in one line; None if all is well.
    """

    def __init__(
        self,
        model: MusicModel,
        *,
        config: live_prompt.LivePromptConfig | None = None,
        is_waited_for: bool = False,
        resolve: Callable[[str], str | audio.Audio] = styles.as_prompt,
        pool: StylePool | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ready to be asked.

        Args:
          model: the loaded bundle.
          config: of the live prompt.
          is_waited_for: `ask` and `hear` come back when all is ready: for rendering offline.
          resolve: what a prompt's text stands for: words or a sound; raises what is to be said if it stands for nothing. The
            default takes paths for files: who serves strangers gives another. Called on the pool's threads.
          pool: threads and embeddings that are shared with other desks of this model; None makes one.
          now: seconds, for the age of the live prompt.
        """
        self.problem: str | None = None
        self._model, self._resolve, self._now = model, resolve, now
        self._config = config or live_prompt.LivePromptConfig()
        self._is_waited_for = is_waited_for
        self._texts: tuple[str, ...] = ("",) * PROMPT_SLOTS
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._failures: dict[str, str] = {}
        self._tried: set[str] = set()
        self._latest: tuple[int, tuple[int, ...] | None] = (-1, None)
        self._made_of: tuple[Prompts, float, int] | None = None
        self._wanted: tuple[int, Prompts, float] | None = None
        self._live: np.ndarray | None = None
        self._live_weight, self._live_number = 0.0, 0
        self._asked_seconds = self._live_seconds = 0.0
        self._to_embed: live_prompt.Snapshot | None = None
        self._embedded: tuple[live_prompt.Snapshot, np.ndarray] | None = None
        self._lock, self._closed, self._is_at_work = threading.Lock(), False, False
        self._pool, self._owns_pool = (StylePool(), True) if pool is None else (pool, False)

    @property
    def latest(self) -> tuple[int, tuple[int, ...] | None]:
        """See Styles."""
        return self._latest

    @property
    def states(self) -> tuple[str, ...]:
        """How each slot's prompt is doing: "empty", "reading", "ready" or "failed"; in the mix or not. Any thread."""
        return tuple(self._state(text) for text in self._texts)

    @property
    def live_age_seconds(self) -> float | None:
        """How long ago the sound ended that the live prompt's embedding was made of; None without one. Any thread."""
        return None if self._live is None else max(0.0, self._now() - self._live_seconds)

    def ask(self, settings: Settings) -> None:
        """See Styles."""
        prompts, weight = prompts_of(settings.values), settings.values["inject/live_prompt"]
        self._live_weight = weight
        self._texts = tuple(settings.values[f"prompt/{slot}/text"] for slot in range(1, PROMPT_SLOTS + 1))
        with self._lock:
            if self._made_of == (prompts, weight, self._live_number) and self._wanted is None:
                self._latest = (settings.sequence, self._latest[1])
            else:
                self._wanted = (settings.sequence, prompts, weight)
        self._go()
        if self._is_waited_for:
            self.wait(PATIENCE_SECONDS)

    def hear(self, prompt: live_prompt.LivePromptState) -> live_prompt.LivePromptState:
        """See Styles; `prompt` is a LivePromptState."""
        done, self._embedded = self._embedded, None
        if done is not None:
            prompt = live_prompt.store(prompt, done[0].end_sample, done[1])
        if self._live_weight and self._to_embed is None and live_prompt.is_due(self._config, prompt):
            asked_before, self._asked_seconds = self._asked_seconds, self._now()
            prompt, self._to_embed = live_prompt.ask(self._config, prompt)
        else:
            asked_before = self._asked_seconds
        if prompt.embedding is not self._live:
            with self._lock:
                self._live, self._live_number, self._live_seconds = prompt.embedding, self._live_number + 1, asked_before
                if self._wanted is None and self._made_of is not None and self._made_of[1]:
                    self._wanted = (self._latest[0], *self._made_of[:2])
        self._go()
        if self._is_waited_for:
            self.wait(PATIENCE_SECONDS)
        return prompt

    def forget(self, text: str) -> None:
        """A text stands for something else now, or for nothing: it is made out anew, if it is still in use. Any thread."""
        with self._lock:
            self._known.pop(text, None)
            self._failures.pop(text, None)
            self._tried.discard(text)
            if self._wanted is None and self._made_of is not None and text in dict(self._made_of[0]):
                self._wanted = (self._latest[0], *self._made_of[:2])
        self._go()

    def wait(self, seconds: float) -> bool:
        """Waits until all of the mix is ready; for the beginning of a performance, and for tests."""
        ends = threading.Event()
        for _ in range(max(1, round(seconds / 0.01))):
            if self._wanted is None and self._to_embed is None:
                return True
            ends.wait(0.01)
        return False

    def close(self) -> None:
        """Lets the threads go; a pool that others use works on."""
        self._closed = True
        if self._owns_pool:
            self._pool.close()

    def _state(self, text: str) -> str:
        if not text.strip():
            return "empty"
        if text in self._known:
            return "ready"
        return "failed" if text in self._failures else "reading"

    def _unread(self) -> str | None:
        """A text that nobody waits for yet."""
        return next((text for text in self._texts if self._state(text) == "reading"), None)

    # Pieces of work: one of a desk is with the pool at a time.

    def _go(self) -> None:
        """Has the pool work, if there is something to do and it does not yet."""
        with self._lock:
            if self._is_at_work or self._closed or not self._has_work():
                return
            self._is_at_work = True
        self._pool.submit(self._work)

    def _has_work(self) -> bool:
        return self._to_embed is not None or self._wanted is not None or self._unread() is not None

    def _work(self) -> None:
        try:
            if not self._closed:
                self._do_a_piece()
        finally:
            with self._lock:
                self._is_at_work = False
            self._go()

    def _do_a_piece(self) -> None:
        if self._to_embed is not None:
            self._embed_live(self._to_embed)
        elif (wanted := self._wanted) is not None:
            missing = [text for text, _ in wanted[1] if text not in self._known and text not in self._tried]
            if missing:
                self._tried.add(missing[0])
                self._read(missing[0])
            else:
                self._mix(*wanted)
        elif (text := self._unread()) is not None:
            self._read(text)

    def _mix(self, sequence: int, prompts: Prompts, weight: float) -> None:
        live, number = self._live, self._live_number
        self._tried.clear()  # what failed is tried again when the mix is next changed
        pairs = []
        for text, share in prompts:
            vector = self._known.get(text)
            if vector is not None:
                pairs.append((vector, share))
        failures = [self._failures[text] for text, _ in prompts if text in self._failures]
        if live is not None and weight:
            pairs.append((live, weight))
        style = self._try(lambda: self._model.style_from(pairs), "mix", failures)
        codes = self._latest[1] if style is None else None if style.codes is None else tuple(map(int, style.codes))
        with self._lock:
            self._latest, self._made_of = (sequence, codes), (prompts, weight, number)
            self.problem = failures[-1] if failures else None
            if self._wanted == (sequence, prompts, weight):
                self._wanted = None

    def _read(self, text: str) -> None:
        """Embeds a text, or notes why it cannot be."""
        failures: list[str] = []
        vector = self._try(lambda: self._embed(text), text, failures)
        with self._lock:
            self._failures = {each: why for each, why in self._failures.items() if each in self._texts and each != text}
            if vector is None:
                self._failures[text] = failures[-1]
                return
            self._known[text] = vector
            self._known.move_to_end(text)
            while len(self._known) > KEPT_EMBEDDINGS:
                self._known.popitem(last=False)

    def _embed(self, text: str) -> np.ndarray:
        prompt = self._resolve(text)
        if not isinstance(prompt, str):
            return self._model.embed_made_out(prompt)
        vector = self._pool.find(prompt)
        if vector is None:
            vector = self._model.embed_made_out(prompt)
            self._pool.keep(prompt, vector)
        return vector

    def _embed_live(self, snapshot: live_prompt.Snapshot) -> None:
        sound = audio.Audio(samples=np.array(snapshot.samples), sample_rate=audio.SAMPLE_RATE_HZ)
        failures: list[str] = []
        vector = self._try(lambda: styles.embed(self._model.style_model, sound), "the live prompt", failures)
        if vector is not None:
            self._embedded = (snapshot, vector)
        else:
            self.problem = failures[-1]
        self._to_embed = None

    def _try(self, work: Callable[[], Any], name: str, failures: list[str]) -> Any:
        try:
            return work()
        except Exception as error:  # the threads must outlive any file and any text
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            failures.append(f"prompt {name[:60]!r} is left out: {reason}")
            return None


def prompts_of(values: Mapping[str, Any]) -> Prompts:
    """Texts and weights of the prompts in the mix: those that have both and are not muted; if any has solo, of those only.

    A slot without a text is no prompt: its switches mean nothing. A muted one with solo still keeps the others out.
    """
    slots = [slot for slot in range(1, PROMPT_SLOTS + 1) if values[f"prompt/{slot}/text"].strip()]
    slots = [slot for slot in slots if values[f"prompt/{slot}/solo"]] or slots
    slots = [slot for slot in slots if not values[f"prompt/{slot}/mute"] and values[f"prompt/{slot}/weight"]]
    return tuple((values[f"prompt/{slot}/text"], values[f"prompt/{slot}/weight"]) for slot in slots)
