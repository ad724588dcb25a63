"""Style pool: one or two threads that embed the prompts of any number of style desks, and the embeddings that these share.

    desk, desk, desk -> submit -> queue -> threads: a piece of work at a time, so that desks take turns
                        find, keep -> text -> embedding, the last few hundred

Only words are shared. A sound belongs to whoever brought it and stays at their desk. One pool is for one model.

Stateful and thread-safe.
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

__all__ = ["StylePool"]


class StylePool:
    """Threads and embeddings for style desks."""

    def __init__(self, *, threads: int = 1, kept_texts: int = 500) -> None:
        """Starts the threads.

        Args:
          threads: how many embed at once, 1 or more; the towers use several cores by themselves.
          kept_texts: texts whose embeddings are remembered; the one that was not asked for longest is forgotten.
        """
        if threads < 1 or kept_texts < 1:
            raise ValueError(f"a style pool of {threads} threads that keeps {kept_texts} texts; give 1 or more of each")
        self._kept_texts = kept_texts
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock, self._closed = threading.Lock(), False
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        # Daemons: a tower that hangs must not keep the program from ending.
        names = [f"styles {number}" for number in range(threads)]
        self._threads = [threading.Thread(target=self._serve, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], object]) -> None:
        """Has a piece of work done soon, on one of the threads; what it raises is lost. After `close`, never."""
        self._work.put(work)

    def find(self, text: str) -> Float[np.ndarray, "dim"] | None:
        """The embedding of a text that somebody has asked for before; None if there is none."""
        with self._lock:
            if text not in self._known:
                return None
            self._known.move_to_end(text)
            return self._known[text]

    def keep(self, text: str, embedding: Float[np.ndarray, "dim"]) -> None:
        """Remembers the embedding of a text; it is not copied, and nobody may change it."""
        with self._lock:
            self._known[text] = embedding
            self._known.move_to_end(text)
            while len(self._known) > self._kept_texts:
                self._known.popitem(last=False)

    def close(self, *, timeout_seconds: float = 5.0) -> bool:
        """Ends the threads after the pieces that are being worked on.

        Args:
          timeout_seconds: how long to wait for that.
        Returns:
          whether they have ended.
        """
        self._closed = True
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join(timeout_seconds / len(self._threads))
        return not any(thread.is_alive() for thread in self._threads)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None and not self._closed:
            try:
                work()
            except Exception:  # one desk must not end the thread of all
                continue
