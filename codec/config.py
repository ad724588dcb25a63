"""Geometry and sizes of the compact codec."""

import dataclasses

PHASES = ("integrated", "learned")
"""Where the phases of a decoded spectrum may come from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompactCodecConfig:
    """Everything that fixes the compact codec's tensors and its token format.

    Source: our own design; token format (25 Hz, levels x 1024) after Live Music Models section 2.1.
    """

    sample_rate: int = 48_000  # samples a second
    channels: int = 2  # left, right
    frame_samples: int = 1920  # one codec frame, 40 ms
    window_samples: int = 2048  # Hann window of the STFT
    hop_samples: int = 480  # one STFT frame every 10 ms, four to a codec frame
    linear_bands_to_hz: float = 6000.0  # below this every FFT bin is a band of its own
    bands_per_octave: int = 36  # above it
    highest_band_hz: float = 22_000.0  # the last band starts below this and reaches to Nyquist
    energy_floor: float = 1e-4  # added to a band's energy before the logarithm
    jitter_above_hz: float = 6000.0  # noise jitter of decoded magnitudes from here up
    latent_dim: int = 96  # numbers a frame before quantizing
    hidden_dim: int = 256  # width of the correction nets
    encoder_blocks: int = 2  # causal ConvNeXt blocks
    decoder_blocks: int = 4
    mlp_ratio: int = 3  # width of a block's MLP / hidden_dim
    kernel_frames: int = 7  # taps of the depthwise convolution, 280 ms
    num_levels: int = 16  # residual quantizer levels
    codebook_size: int = 1024  # vectors a level
    trim_db: float = 0.0  # level added to all decoded bands, on top of what train/codec_gain.py measures
    encode_beam: int = 1  # series of codes that encoding keeps from level to level (nn/quantizer.py); 1 is greedy
    greedy_levels: int = 0  # leading levels that are greedy all the same: those that a language model knows
    phase: str = "integrated"  # where phases come from: "integrated" (phase.py) or "learned" (learned_phase.py)
    phase_dim: int = 128  # width of the learned one's net
    phase_blocks: int = 3  # its causal ConvNeXt blocks, at 100 Hz

    def __post_init__(self) -> None:
        for divisor, number in (("hop_samples", self.frame_samples), ("frame_samples", self.sample_rate)):
            if number % getattr(self, divisor):
                raise ValueError(f"got {divisor}={getattr(self, divisor)}, expected a divisor of {number}; choose one")
        if self.phase not in PHASES:
            raise ValueError(f"got phase={self.phase!r}, expected one of {', '.join(PHASES)}; update the package")
        if self.encode_beam < 1 or not 0 <= self.greedy_levels <= self.num_levels:
            raise ValueError(
                f"got encode_beam={self.encode_beam} and greedy_levels={self.greedy_levels}, expected at least 1 and "
                f"0 to {self.num_levels}; 1 and 0 encode greedily"
            )
        if self.channels != 2:
            raise ValueError(f"got channels={self.channels}, expected 2 (mid and side are coded); pass stereo")
        if self.lookahead_samples < 0 or self.lookahead_samples > self.hop_samples:
            raise ValueError(
                f"got window_samples={self.window_samples}, expected {self.frame_samples} to "
                f"{self.frame_samples + self.hop_samples}; the decoder's latency of one frame depends on it"
            )

    @property
    def frame_rate_hz(self) -> float:
        """Codec frames a second."""
        return self.sample_rate / self.frame_samples

    @property
    def stft_frames_per_frame(self) -> int:
        """STFT frames in one codec frame."""
        return self.frame_samples // self.hop_samples

    @property
    def lead_samples(self) -> int:
        """Samples by which the window of a codec frame's first STFT frame starts before the codec frame."""
        return self.frame_samples - self.hop_samples

    @property
    def lookahead_samples(self) -> int:
        """Samples after the end of a codec frame that its last STFT window reaches."""
        return self.window_samples - self.frame_samples

    @property
    def bins(self) -> int:
        """FFT bins from 0 Hz to Nyquist."""
        return self.window_samples // 2 + 1


def starter() -> CompactCodecConfig:
    """The bundled starter's codec: 5.8 million numbers, codebooks included.

    Its language model knows four levels. Without the trim, whole pieces come back 0.16 dB too loud in the median mel
    band: the gain is measured on crops.
    """
    return CompactCodecConfig(trim_db=-0.25, encode_beam=8, greedy_levels=4)


def tiny() -> CompactCodecConfig:
    """For tests: the same time geometry and token format, few bands and narrow nets."""
    return CompactCodecConfig(
        linear_bands_to_hz=1500.0,
        bands_per_octave=12,
        jitter_above_hz=9000.0,
        latent_dim=16,
        hidden_dim=32,
        encoder_blocks=1,
        decoder_blocks=1,
    )
