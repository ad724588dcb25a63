"""Sizes of the style model: the released geometry, the bundled starter and a tiny one for tests."""

import dataclasses
from typing import Any, Literal

PadMode = Literal["zero", "loop"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleConfig:
    """Geometry of the two towers, their front end and the style quantizer.

    The defaults are the released geometry (Live Music Models, section 2.2); `starter` and `tiny` shrink it.

    Attributes:
      dim: length of an embedding.
      normalize: whether embeddings are centred by modality and scaled to length sqrt(dim); the released ones are raw.
      pad_mode: what fills a clip shorter than `clip_samples`: silence (the paper) or the audio itself.
    """

    sample_rate_hz: int = 16_000  # mono input of the audio tower (paper 2.2)
    clip_samples: int = 160_000  # one clip of 10 s (paper 2.2)
    pre_emphasis: float = 0.97  # y[n] = x[n] - 0.97 x[n-1]; read from published ports
    window_samples: int = 400  # 25 ms periodic Hann
    hop_samples: int = 160  # 10 ms between STFT frames
    fft_samples: int = 2048  # FFT length, zero-padded from window_samples
    mel_bands: int = 128  # log-mel channels (paper 2.2)
    mel_low_hz: float = 0.0  # lower mel edge; not published, to be checked with the weights
    mel_high_hz: float = 8_000.0  # upper mel edge; not published, to be checked with the weights
    log_floor: float = 1e-3  # log(mel power + floor)
    stft_frames: int = 992  # frames kept of a clip (paper 2.2)
    patch_frames: int = 16  # ViT patch, time (paper 2.2)
    patch_bands: int = 16  # ViT patch, mel (paper 2.2)
    dim: int = 768  # embedding length (paper 2.2)
    audio_width: int = 768  # ViT residual width
    audio_layers: int = 12  # ViT layers (paper 2.2)
    audio_heads: int = 12  # ViT attention heads
    text_width: int = 768  # text Transformer residual width
    text_layers: int = 12  # text Transformer layers (paper 2.2)
    text_heads: int = 12  # text attention heads
    ffn_factor: int = 4  # feed-forward width / residual width
    pooler_heads: int = 12  # attention pooling, one learned query
    pooler_head_dim: int = 256  # numbers per pooling head
    attention_soft_cap: float = 50.0  # logits = cap * tanh(logits / cap); 0 is off
    max_tokens: int = 128  # text length with the BOS id (paper 2.2)
    vocabulary_size: int = 64_000  # SentencePiece pieces
    max_prompt_characters: int = 2_000  # longer prompts are refused; longer than max_tokens are truncated
    decoder_layers: int = 3  # caption decoder, in training only (paper 2.2)
    num_levels: int = 12  # style RVQ levels (paper 2.2)
    codebook_size: int = 1_024  # entries per level (paper 2.2)
    normalize: bool = False  # centre by modality and scale to sqrt(dim)
    pad_mode: PadMode = "zero"  # filling of short clips

    def __post_init__(self) -> None:
        """Refuses geometries whose patches, heads or frames do not fit."""
        for total, part, names in (
            (self.stft_frames, self.patch_frames, "stft_frames by patch_frames"),
            (self.mel_bands, self.patch_bands, "mel_bands by patch_bands"),
            (self.audio_width, self.audio_heads, "audio_width by audio_heads"),
            (self.text_width, self.text_heads, "text_width by text_heads"),
        ):
            if total % part:
                raise ValueError(f"{total} is not divisible by {part}: choose {names} without a remainder")
        available = 1 + (self.clip_samples - self.window_samples) // self.hop_samples
        if self.stft_frames > available:
            raise ValueError(
                f"stft_frames is {self.stft_frames} but a clip of {self.clip_samples} samples has only {available}; "
                "lower stft_frames or hop_samples"
            )

    @property
    def clip_seconds(self) -> float:
        """Length of one clip in seconds."""
        return self.clip_samples / self.sample_rate_hz

    @property
    def patch_grid(self) -> tuple[int, int]:
        """Patches of one clip along time and along mel."""
        return self.stft_frames // self.patch_frames, self.mel_bands // self.patch_bands

    @property
    def num_patches(self) -> int:
        """Tokens the audio tower sees for one clip."""
        return self.patch_grid[0] * self.patch_grid[1]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values, for a bundle."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "StyleConfig":
        """Rebuilds a config from `to_dict`; unknown names raise ValueError."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - known)
        if unknown:
            raise ValueError(f"unknown style config fields {unknown}; expected some of {sorted(known)}")
        return cls(**fields)


def released() -> StyleConfig:
    """The paper's geometry, to train a style model of ours at: 992 x 128 log-mel, 496 patches, 768 numbers. The released
    MusicCoCa itself, with all that its files say, is `MusicCoCaConfig`."""
    return StyleConfig()


def starter() -> StyleConfig:
    """The bundled starter: about 4.2 million numbers with codebooks, trainable in minutes on two CPU cores."""
    return StyleConfig(
        window_samples=640,
        hop_samples=320,
        fft_samples=1024,
        mel_bands=64,
        mel_low_hz=30.0,
        stft_frames=496,
        dim=128,
        audio_width=160,
        audio_layers=4,
        audio_heads=4,
        text_width=160,
        text_layers=3,
        text_heads=4,
        pooler_heads=4,
        pooler_head_dim=40,
        attention_soft_cap=0.0,
        max_tokens=48,
        vocabulary_size=1_000,
        normalize=True,
        pad_mode="loop",
    )


def tiny() -> StyleConfig:
    """A model for tests: 1 s clips, a few thousand parameters, 3 RVQ levels of 8."""
    return StyleConfig(
        clip_samples=16_000,
        window_samples=640,
        hop_samples=320,
        fft_samples=1024,
        mel_bands=16,
        mel_low_hz=30.0,
        stft_frames=48,
        patch_bands=8,
        dim=16,
        audio_width=32,
        audio_layers=1,
        audio_heads=2,
        text_width=32,
        text_layers=1,
        text_heads=2,
        ffn_factor=2,
        pooler_heads=2,
        pooler_head_dim=16,
        attention_soft_cap=0.0,
        max_tokens=16,
        vocabulary_size=300,
        decoder_layers=1,
        num_levels=3,
        codebook_size=8,
        normalize=True,
        pad_mode="loop",
    )
