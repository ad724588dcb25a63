"""Hooks for other programs' models: the paper's own metrics, for whoever has OpenL3, PaSST or CLAP installed.

A hook is a small object (one of the three protocols below); nothing of these programs is imported before it is asked
for, and none is a dependency. `load` knows three names, and takes the name of any function that makes a hook:

    openl3      samples -> embeddings        Frechet distance, as in table 1 of Live Music Models
    passt       samples -> label probabilities   divergence of labels, as there
    clap        samples, texts -> embeddings     text-audio score, as there
    my.module:make                               a function without arguments that returns a hook

Not exercised here with the real packages: nobody who wrote this had them.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from magenta_rt_py.audio import resample
from magenta_rt_py.errors import MrtError
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.descriptor import WINDOW_SECONDS, windows

KINDS = ("embedding", "labels", "text_audio")


@runtime_checkable
class Hook(Protocol):
    """Another program's model.

    Attributes:
      name: letters and digits; of the columns in reports.
      kind: "embedding" (rows are embeddings), "labels" (rows are probabilities) or "text_audio" (rows are embeddings that
        can be compared with `embed_text`).
    """

    name: str
    kind: str

    def __call__(self, samples: Float[np.ndarray, "samples 2"]) -> Float[np.ndarray, "windows numbers"]:
        """Describes sound at 48 kHz."""
        ...


@runtime_checkable
class TextHook(Hook, Protocol):
    """A hook of kind "text_audio"."""

    def embed_text(self, text: str) -> Float[np.ndarray, " numbers"]:
        """Embeds a text into the space of the rows."""
        ...


class OpenL3:
    """Embeddings of the package openl3: music, 512 numbers, one row a second, mono."""

    name, kind = "openl3", "embedding"

    def __init__(self) -> None:
        """Imports the package; its weights come with it."""
        self._package = _need("openl3", "openl3")
        self._model = self._package.models.load_audio_embedding_model(
            input_repr="mel256", content_type="music", embedding_size=512
        )

    def __call__(self, samples: Float[np.ndarray, "samples 2"]) -> Float[np.ndarray, "windows numbers"]:
        """Rows of one second, hop one second."""
        rows, _ = self._package.get_audio_embedding(
            samples, SAMPLE_RATE_HZ, model=self._model, hop_size=1.0, center=False, verbose=False
        )
        return np.asarray(rows, np.float32)


class PaSST:
    """Probabilities of AudioSet's 527 labels by the package hear21passt, one row for each 10 s."""

    name, kind = "passt", "labels"

    def __init__(self) -> None:
        """Imports the package, which fetches its weights when it is used first."""
        self._torch = _need("torch", "passt")
        self._model = _need("hear21passt.base", "passt").get_basic_model(mode="logits").eval()

    def __call__(self, samples: Float[np.ndarray, "samples 2"]) -> Float[np.ndarray, "windows numbers"]:
        """Label probabilities that sum to 1 in each row, as the divergence needs them."""
        mono = [resample(clip.mean(1, keepdims=True), SAMPLE_RATE_HZ, 32_000)[:, 0] for clip in _clips(samples)]
        with self._torch.no_grad():
            logits = self._model(self._torch.from_numpy(np.stack(mono)))
        chances = np.exp(logits.numpy() - logits.numpy().max(1, keepdims=True))
        return (chances / chances.sum(1, keepdims=True)).astype(np.float32)


class Clap:
    """Embeddings of the package laion_clap with its default checkpoint, one row for each 10 s."""

    name, kind = "clap", "text_audio"

    def __init__(self) -> None:
        """Imports the package, which fetches its weights."""
        self._model = _need("laion_clap", "clap").CLAP_Module(enable_fusion=False)
        self._model.load_ckpt()

    def __call__(self, samples: Float[np.ndarray, "samples 2"]) -> Float[np.ndarray, "windows numbers"]:
        """Embeds sound."""
        clips = np.stack([clip.mean(1) for clip in _clips(samples)]).astype(np.float32)
        return np.asarray(self._model.get_audio_embedding_from_data(x=clips, use_tensor=False), np.float32)

    def embed_text(self, text: str) -> Float[np.ndarray, " numbers"]:
        """Embeds a text."""
        return np.asarray(self._model.get_text_embedding([text, text], use_tensor=False)[0], np.float32)


KNOWN = {"openl3": OpenL3, "passt": PaSST, "clap": Clap}


def load(name: str) -> Hook:
    """Makes a hook.

    Args:
      name: a key of KNOWN, or "module:function".
    Raises:
      MrtError: its package is not installed.
      ValueError: there is nothing of that name, or what it makes is no hook.
    """
    if name in KNOWN:
        return KNOWN[name]()
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        raise ValueError(f"got the hook {name!r}, expected one of {', '.join(KNOWN)}, or module:function")
    make: Any = getattr(_need(module, name), function, None)
    if make is None:
        raise ValueError(f"the module {module} has no {function!r}; give module:function with a function that is there")
    hook = make()
    needed = TextHook if getattr(hook, "kind", "") == "text_audio" else Hook
    if not isinstance(hook, needed) or hook.kind not in KINDS:
        raise ValueError(
            f"{name} made a {type(hook).__name__}, which is no hook; it needs what outside.{needed.__name__} has"
        )
    return hook


def _need(module: str, hook: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MrtError(
            f"the hook {hook!r} needs the package {module.partition('.')[0]!r}, which is not installed; "
            "install it yourself, or leave the hook out"
        ) from error


def _clips(samples: Float[np.ndarray, "samples 2"]) -> list[np.ndarray]:
    return windows(samples, hop_seconds=WINDOW_SECONDS)
