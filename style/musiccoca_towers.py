"""What computes MusicCoCa's embeddings: one small protocol, and the Flax towers behind it."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from magenta_rt_py.style.musiccoca_config import MusicCoCaConfig, TowerKind
from magenta_rt_py.style.musiccoca_network import MusicCoCaAudioTower, MusicCoCaTextTower, log_mels, network_shapes


@runtime_checkable
class Towers(Protocol):
    """Token ids and waveforms to raw embeddings: one text or clip or more. They may be called from several threads at once.

    Attributes:
      kind: how a bundle names this kind of towers.
    """

    kind: TowerKind

    def embed_tokens(
        self, ids: Int[np.ndarray, "batch tokens"], paddings: Float[np.ndarray, "batch tokens"]
    ) -> Float[np.ndarray, "batch dim"]:
        """Embeddings of texts.

        Args:
          ids: int32, BOS, pieces and 0 as padding; max_tokens columns.
          paddings: float32, 1.0 at padding and 0.0 elsewhere.
        """
        ...

    def embed_waveform(self, samples: Float[np.ndarray, "batch clip_samples"]) -> Float[np.ndarray, "batch dim"]:
        """Embeddings of clips: float32 mono 16 kHz, full scale 1.0, exactly one clip (10 s) long."""
        ...

    def to_tensors(self) -> dict[str, np.ndarray]:
        """Weights that a bundle keeps as tensors; empty where they are inside files."""
        ...

    def to_assets(self) -> dict[str, Path]:
        """Files or folders that a bundle has to keep, by their name in it; empty where all weights are tensors."""
        ...


class NativeTowers:
    """The towers in Flax, compiled for one clip or text at a time, as the released programs run.

    Products are computed in full float32 on every device, because style codes hang on small differences.
    """

    kind: TowerKind = "native"

    def __init__(self, config: MusicCoCaConfig, tensors: Mapping[str, Any]) -> None:
        """Takes the weights.

        Args:
          config: the geometry they were made for.
          tensors: slash path -> array; `network_shapes` names them.

        Raises:
          ValueError: a tensor is missing, unknown or of another shape.
        """
        expected = network_shapes(config)
        found = {name: tuple(np.shape(value)) for name, value in tensors.items()}
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        if wrong:
            name = wrong[0]
            raise ValueError(
                f"{len(wrong)} MusicCoCa tensors do not fit the config, the first is {name!r}: got shape "
                f"{found.get(name)}, expected {expected.get(name)}; load them with the config they were saved with"
            )
        self._config = config
        flat = {name: jnp.asarray(value, jnp.float32) for name, value in tensors.items()}
        self._params = flax.traverse_util.unflatten_dict(flat, sep="/")

    def embed_tokens(
        self, ids: Int[np.ndarray, "batch tokens"], paddings: Float[np.ndarray, "batch tokens"]
    ) -> Float[np.ndarray, "batch dim"]:
        """See Towers.embed_tokens."""
        rows = [(ids[row : row + 1], paddings[row : row + 1] < 0.5) for row in range(len(ids))]
        return np.concatenate([self._run(_embed_text, *row) for row in rows])

    def embed_waveform(self, samples: Float[np.ndarray, "batch clip_samples"]) -> Float[np.ndarray, "batch dim"]:
        """See Towers.embed_waveform."""
        return np.concatenate([self._run(_embed_clip, samples[row : row + 1]) for row in range(len(samples))])

    def to_tensors(self) -> dict[str, np.ndarray]:
        """All weights by slash path, float32."""
        flat = flax.traverse_util.flatten_dict(self._params, sep="/")
        return {name: np.asarray(value) for name, value in flat.items()}

    def to_assets(self) -> dict[str, Path]:
        """None: all weights are tensors."""
        return {}

    def _run(self, function: Callable, *inputs: np.ndarray) -> np.ndarray:
        with jax.default_matmul_precision("float32"):
            return np.asarray(function(self._config, self._params, *inputs))


@functools.partial(jax.jit, static_argnums=0)
def _embed_clip(config: MusicCoCaConfig, params: dict, samples: Float[Array, "1 clip_samples"]) -> Float[Array, "1 dim"]:
    mels = log_mels(samples, params["front_end"]["mel_matrix"], config)
    return MusicCoCaAudioTower(config).apply({"params": params["audio"]}, mels)


@functools.partial(jax.jit, static_argnums=0)
def _embed_text(
    config: MusicCoCaConfig, params: dict, ids: Int[Array, "1 tokens"], present: Bool[Array, "1 tokens"]
) -> Float[Array, "1 dim"]:
    return MusicCoCaTextTower(config).apply({"params": params["text"]}, ids, present)
