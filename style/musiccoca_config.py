"""Sizes and choices of the released style model, MusicCoCa.

Sources: Live Music Models, section 2.2; the released geometry, as published ports restate it. The ports agree on the audio
tower and on the text tower of the second release, whose files name their parts. The first release's text tower is known
only by its files' size, so whatever is uncertain there is a field of its own below.
"""

import dataclasses
from typing import Any, Literal, get_args

from magenta_rt_py.style.config import StyleConfig

TowerKind = Literal["native", "savedmodel", "tflite"]

KIND = "musiccoca"
"""What a bundle's style part calls itself; the project's own style model has no such entry."""

TOWERS_ASSET = "style/towers"
"""Name, inside a bundle, of the folder with the released towers' own files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MusicCoCaConfig(StyleConfig):
    """Geometry of MusicCoCa, and what computes its towers.

    The defaults are the second release's geometry. Embeddings are as the towers give them, neither centred nor scaled, and
    the last clip of audio is filled with silence.

    Attributes:
      towers: "native" is this package's own Flax; "savedmodel" runs the first release's TensorFlow program, "tflite" the
        second's. Only the released programs are certain to give the released numbers.
      text_positions: whether the text tower adds learned positions.
      text_embedding_scale: factor on word-piece embeddings before the first layer.
      map_text: whether text embeddings go through the second release's mapper, which moves them to where audio lies.
      mapper_seed: of the noise that the mapper starts from.
    """

    vocabulary_size: int = 16_000  # pieces; 64_000 in the first release, 16_000 in the second (read from its files)
    towers: TowerKind = "native"
    text_positions: bool = True  # second release: yes (read from its files); first: not known, a port that fits has none
    text_embedding_scale: float = 1.0  # second release: 1; first: not known, a port that nearly fits has sqrt(text_width)
    map_text: bool = False  # the second release's default
    mapper_seed: int = 0  # the second release's default

    def __post_init__(self) -> None:
        """Refuses what the released pipeline does not do, and sizes that do not fit."""
        super().__post_init__()
        if self.towers not in get_args(TowerKind):
            raise ValueError(f"towers is {self.towers!r}; choose one of {', '.join(get_args(TowerKind))}")
        if self.normalize or self.pad_mode != "zero":
            raise ValueError(
                f"MusicCoCa's embeddings are raw and its clips are filled with silence, got normalize={self.normalize} "
                f"and pad_mode={self.pad_mode!r}; leave both out"
            )
        if self.map_text and self.towers != "tflite":
            raise ValueError(f"only the tflite towers have a mapper, got map_text with {self.towers!r} towers; leave it off")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values, for a bundle, with "kind": "musiccoca"."""
        return {"kind": KIND} | super().to_dict()

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "MusicCoCaConfig":
        """Rebuilds a config from `to_dict`; unknown names and another kind raise ValueError."""
        rest = dict(fields)
        kind = rest.pop("kind", KIND)
        if kind != KIND:
            raise ValueError(f"the style config's kind is {kind!r}, expected {KIND!r}; get the bundle again")
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(rest) - known)
        if unknown:
            raise ValueError(f"unknown style config fields {unknown}; expected some of {sorted(known)}")
        return cls(**rest)


def released_v1(towers: TowerKind = "savedmodel") -> MusicCoCaConfig:
    """The first release (Magenta RealTime): 64,000 pieces. Its text tower is certain only as the released program."""
    return MusicCoCaConfig(vocabulary_size=64_000, text_positions=False, towers=towers)


def released_v2(towers: TowerKind = "tflite", *, map_text: bool = False) -> MusicCoCaConfig:
    """The second release: 16,000 pieces, learned text positions. Whether it shares the first's space is not proven."""
    return MusicCoCaConfig(towers=towers, map_text=map_text)


def tiny(towers: TowerKind = "native", *, text_positions: bool = True) -> MusicCoCaConfig:
    """A model for tests: 0.2 s clips, two layers, 12 levels of 32 codes."""
    return MusicCoCaConfig(
        clip_samples=3_200,
        fft_samples=512,
        mel_bands=16,
        stft_frames=16,
        patch_frames=8,
        patch_bands=8,
        dim=12,
        audio_width=16,
        audio_layers=2,
        audio_heads=2,
        text_width=24,
        text_layers=2,
        text_heads=3,
        ffn_factor=2,
        pooler_heads=2,
        pooler_head_dim=5,
        attention_soft_cap=2.0,
        max_tokens=10,
        vocabulary_size=300,
        codebook_size=32,
        towers=towers,
        text_positions=text_positions,
    )
