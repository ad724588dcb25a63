"""What every codec of this package offers: sound to codes and back, whole or as a stream."""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int


class Codec(abc.ABC):
    """Stereo sound to a few integers a frame, and back.

    Whole and streamed results are equal, however a stream is cut. States are NamedTuples of arrays: they can be kept,
    copied and resumed, and one codec serves any number of streams.

    Attributes:
      sample_rate: samples a second.
      channels: of the sound.
      frame_samples: samples in one codec frame.
      num_levels: residual levels of the codes.
      codebook_size: codes are in 0..codebook_size - 1.
      encode_lookahead_samples: sound after a frame's end that its codes depend on.
      decode_latency_frames: frames by which decode_step's output lags its codes.
    """

    sample_rate: int
    channels: int
    frame_samples: int
    num_levels: int
    codebook_size: int
    encode_lookahead_samples: int
    decode_latency_frames: int

    @property
    def frame_rate_hz(self) -> float:
        """Codec frames a second."""
        return self.sample_rate / self.frame_samples

    @property
    @abc.abstractmethod
    def code_vectors(self) -> Float[np.ndarray, "levels codebook_size dim"]:
        """What the codes stand for."""

    @abc.abstractmethod
    def encode(self, samples: Float[np.ndarray, "batch samples channels"]) -> Int[np.ndarray, "batch frames levels"]:
        """Codes of a whole recording: ceil(samples / frame_samples) frames; silence is assumed before and after.

        Args:
          samples: amplitude -1..1 at `sample_rate`.

        Raises:
          ValueError: if the shape or the type is wrong or a sample is not finite.
        """

    @abc.abstractmethod
    def decode(self, codes: Int[np.ndarray, "batch frames used_levels"]) -> Float[np.ndarray, "batch samples channels"]:
        """Sound of a whole sequence of codes, aligned with what was encoded: frames * frame_samples samples.

        Args:
          codes: any number of leading levels, 1..num_levels; fewer levels give a coarser sound.

        Raises:
          ValueError: if shape, type, number of levels or range is wrong.
        """

    @abc.abstractmethod
    def init_encode_state(self, batch: int) -> Any:
        """State before the first sample."""

    @abc.abstractmethod
    def encode_step(
        self, state: Any, samples: Float[np.ndarray, "batch samples channels"]
    ) -> tuple[Any, Int[np.ndarray, "batch frames levels"]]:
        """Takes any number of samples; gives the codes of every frame that is complete by now, look-ahead included."""

    @abc.abstractmethod
    def init_decode_state(self, batch: int) -> Any:
        """State before the first frame."""

    @abc.abstractmethod
    def decode_step(
        self, state: Any, codes: Int[np.ndarray, "batch frames used_levels"]
    ) -> tuple[Any, Float[np.ndarray, "batch samples channels"]]:
        """Takes any number of frames and gives as many frames of sound, decode_latency_frames late.

        The first decode_latency_frames frames of a stream's output lie before its start and are silent.
        """

    def decode_streams(
        self, streams: Mapping[int, tuple[Any, Int[np.ndarray, "1 frames used_levels"]]], *, width: int
    ) -> dict[int, tuple[Any, Float[np.ndarray, "1 samples channels"]]]:
        """`decode_step` for several streams at once, each at a point of its own and with frames and levels of its own.

        How a stream is cut makes no difference here either, as long as width and place stay; another width may round
        otherwise. A codec that computes nothing together, as this one, gives what `decode_step` does.

        Args:
          streams: state and codes, by place 0 .. width - 1; places may be free. Batches of 1.
          width: streams that the programs are made for: who comes and goes compiles nothing.
        Returns:
          next state and sound, by place.
        """
        check_places(streams, width)
        return {place: self.decode_step(state, codes) for place, (state, codes) in streams.items()}


def check_places(streams: Mapping[int, Any], width: int) -> None:
    """Refuses places that there are not.

    Raises:
      ValueError: one is none of 0 .. width - 1.
    """
    if not all(0 <= place < width for place in streams):
        raise ValueError(f"streams at places {sorted(streams)} of {width}; give 0 to {width - 1}")
