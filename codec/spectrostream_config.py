"""Geometry and sizes of SpectroStream, the released codec."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

Strides = tuple[tuple[int, int], ...]  # one (time, frequency) pair a block


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpectroStreamConfig:
    """Everything that fixes SpectroStream's tensors and its token format.

    Widths are numbers of channels. Source of all defaults: released geometry (Live Music Models appendix C.1).
    """

    sample_rate: int = 48_000  # samples a second
    channels: int = 2  # left, right
    window_samples: int = 960  # Hann window and FFT of the STFT; bins from 0 Hz up to, not including, Nyquist
    hop_samples: int = 480  # one STFT frame every 10 ms
    encoder_strides: Strides = ((1, 2), (1, 2), (1, 3), (1, 2), (1, 2), (2, 2), (2, 1))  # a block divides by these
    encoder_first_width: int = 32  # after the first convolution
    encoder_widths: tuple[int, ...] = (64, 64, 128, 128, 128, 256, 256)  # after each block
    decoder_first_width: int = 512  # before the first block
    decoder_widths: tuple[int, ...] = (1024, 256, 256, 256, 128, 128, 64)  # after each block
    edge_kernel: int = 7  # taps in time and in frequency of the first and of the last convolution
    latent_dim: int = 256  # numbers a frame before quantizing
    num_levels: int = 64  # residual quantizer levels
    codebook_size: int = 1024  # vectors a level

    def __post_init__(self) -> None:
        for name in ("encoder_widths", "decoder_widths"):
            if len(getattr(self, name)) != len(self.encoder_strides):
                raise ValueError(
                    f"got {len(getattr(self, name))} {name}, expected {len(self.encoder_strides)}, one a block; "
                    "give as many as encoder_strides"
                )
        if self.channels != 2:
            raise ValueError(f"got channels={self.channels}, expected 2 (left and right are fused late); pass stereo")
        if self.window_samples != 2 * self.hop_samples:
            raise ValueError(
                f"got window_samples={self.window_samples}, expected twice hop_samples={self.hop_samples}; "
                "the overlap-add knows only half-overlapping windows"
            )
        divisor = math.prod(stride for _, stride in self.encoder_strides)
        if self.bins % divisor:
            raise ValueError(f"got {self.bins} bins, expected a multiple of {divisor}; choose fitting encoder_strides")
        if self.sample_rate % self.frame_samples:
            raise ValueError(
                f"got frames of {self.frame_samples} samples, expected a divisor of {self.sample_rate}; "
                "choose fitting encoder_strides"
            )

    def to_dict(self) -> dict[str, Any]:
        """Fields by name, for a bundle; "kind" tells codec_from_tensors which codec they are of."""
        return {"kind": "spectrostream", **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "SpectroStreamConfig":
        """Rebuilds a config from `to_dict`, or from the JSON it went through, which has lists for tuples.

        Raises:
          ValueError: if a name is unknown, or values do not fit each other.
        """
        given = {name: value for name, value in fields.items() if name != "kind"}
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(given.keys() - known):
            raise ValueError(f"got codec config fields {unknown}, expected some of {sorted(known)}; update the package")
        for name in given.keys() & {"encoder_widths", "decoder_widths"}:
            given[name] = tuple(given[name])
        if "encoder_strides" in given:
            given["encoder_strides"] = tuple((time, bins) for time, bins in given["encoder_strides"])
        return cls(**given)

    @property
    def bins(self) -> int:
        """Frequency bins that are coded."""
        return self.window_samples // 2

    @property
    def stft_frames_per_frame(self) -> int:
        """STFT frames in one codec frame."""
        return math.prod(stride for stride, _ in self.encoder_strides)

    @property
    def frame_samples(self) -> int:
        """Samples in one codec frame; 1920 in the released geometry, 40 ms."""
        return self.stft_frames_per_frame * self.hop_samples

    @property
    def frame_rate_hz(self) -> float:
        """Codec frames a second."""
        return self.sample_rate / self.frame_samples

    @property
    def lookahead_samples(self) -> int:
        """Samples after the end of a codec frame that its last STFT window reaches."""
        return self.window_samples - self.hop_samples

    @property
    def innermost_bins(self) -> int:
        """Places on the frequency axis between encoder and decoder; 5 in the released geometry."""
        return self.bins // math.prod(stride for _, stride in self.encoder_strides)

    @property
    def decoder_strides(self) -> Strides:
        """The encoder's, in reverse: a block multiplies by these."""
        return self.encoder_strides[::-1]


def released() -> SpectroStreamConfig:
    """The released codec: 61.7 million numbers, 16.8 million of them codebooks."""
    return SpectroStreamConfig()


def tiny() -> SpectroStreamConfig:
    """For tests: the same time geometry and token format, narrow nets."""
    return SpectroStreamConfig(
        encoder_first_width=4,
        encoder_widths=(8, 8, 16, 16, 16, 32, 32),
        decoder_first_width=64,
        decoder_widths=(128, 32, 32, 32, 16, 16, 8),
        latent_dim=16,
    )
