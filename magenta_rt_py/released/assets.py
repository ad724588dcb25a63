"""The table of what can be fetched: which files of which repository, what they become, their licence and size.

Source: the paths are those that the released code asks for; sizes as said beside each.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable

__all__ = ["ASSETS", "TESTDATA", "Asset", "Resource", "find_asset"]

MEGABYTE = 1_000_000
FLOAT_BYTES = 4
TERMS = (
    "use them responsibly; generate nothing that infringes the rights of others, copyright among them; Google claims no "
    "rights in what you generate, and you alone answer for it; no warranty"
)
"""The usage terms beside the licence, in short; the model cards have the full text."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resource:
    """Some files of a repository that belong together."""

    part: str
    """Part of a bundle that they become: "lm", "codec" or "style"; "testdata" becomes none."""
    pattern: str
    """Path within the repository; one that ends in a slash is a folder with all that is in it; `*` stands for a name."""
    about_bytes: int
    """Size that is told while the repository cannot be asked; it is not relied upon."""
    required: bool = True
    """Whether the repository must have it."""

    def matches(self, path: str) -> bool:
        """Whether a file of the repository belongs here."""
        if self.pattern.endswith("/"):
            return path.startswith(self.pattern)
        return path.count("/") == self.pattern.count("/") and fnmatch.fnmatchcase(path, self.pattern)

    @property
    def location(self) -> str:
        """The file, or the folder that all its files are in, without a slash at the end."""
        return self.pattern.rpartition("/")[0] if self.pattern.endswith("/") or "*" in self.pattern else self.pattern


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asset:
    """What one `mrtpy fetch` brings."""

    name: str
    """As people type it."""
    title: str
    """What it is, in a few words."""
    repository: str
    """Of the Hugging Face hub: owner/name."""
    resources: tuple[Resource, ...]
    """Its files."""
    licence: str = "CC-BY-4.0"
    """Of the weights and of the test data (model cards of both repositories)."""
    terms: str = TERMS
    """What is asked besides."""

    @property
    def page(self) -> str:
        """Where the model card with the full licence is."""
        return f"https://huggingface.co/{self.repository}"

    @property
    def about_bytes(self) -> int:
        """Size of all files, roughly."""
        return sum(resource.about_bytes for resource in self.resources)

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of a bundle that it brings, in the order of its resources."""
        return tuple(dict.fromkeys(resource.part for resource in self.resources if resource.part != "testdata"))

    def belonging(self, paths: Iterable[str]) -> list[str]:
        """Those of a repository's files that are this asset's, sorted."""
        return sorted(path for path in paths if any(resource.matches(path) for resource in self.resources))

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Patterns of required resources that none of the files matches."""
        paths = list(paths)
        return [
            resource.pattern
            for resource in self.resources
            if resource.required and not any(resource.matches(path) for path in paths)
        ]


_TESTDATA = (  # the repository's page says 4.7 MB for both
    Resource(part="testdata", pattern="testdata/ssv2_48k_stereo/", about_bytes=31 * MEGABYTE // 10),
    Resource(part="testdata", pattern="testdata/musiccoca_mv212/", about_bytes=16 * MEGABYTE // 10),
)
_CODEC_AND_STYLE = (
    # The encoder's variables are 74 MB on the repository's page, twice its 9,251,904 numbers; the decoder's may be
    # twice 35,684,546 numbers as well. The quantizer has 64 codebooks of 1024 x 256.
    Resource(part="codec", pattern="savedmodels/ssv2_48k_stereo/encoder/", about_bytes=75 * MEGABYTE),
    Resource(part="codec", pattern="savedmodels/ssv2_48k_stereo/decoder/", about_bytes=2 * 35_684_546 * FLOAT_BYTES),
    Resource(part="codec", pattern="savedmodels/ssv2_48k_stereo/quantizer/", about_bytes=64 * 1024 * 256 * FLOAT_BYTES),
    # 238.7 million numbers in the two towers, as ports count them; 12 codebooks of 1024 x 768.
    Resource(part="style", pattern="savedmodels/musiccoca_mv212f_cpu_novocab/", about_bytes=955 * MEGABYTE),
    Resource(part="style", pattern="savedmodels/musiccoca_mv212_quant/", about_bytes=12 * 1024 * 768 * FLOAT_BYTES),
    Resource(part="style", pattern="vocabularies/musiccoca_mv212f_vocab.model", about_bytes=1 * MEGABYTE),
)


def _whole_model(name: str, title: str, checkpoint: str, about_bytes: int) -> Asset:
    language = Resource(part="lm", pattern=f"checkpoints/{checkpoint}.tar", about_bytes=about_bytes)
    resources = (language, *_CODEC_AND_STYLE, *_TESTDATA)
    return Asset(name=name, title=title, repository="google/magenta-realtime", resources=resources)


TESTDATA = Asset(
    name="magenta-rt-testdata",
    title="test vectors for `mrtpy verify`",
    repository="google/magenta-realtime",
    resources=_TESTDATA,
)

ASSETS: tuple[Asset, ...] = (
    # Sizes of the two archives: the repository's page. Base has 347,873,472 numbers, Large 761,651,456; as float32
    # that is 1.39 and 3.05 GB, a little less compressed.
    _whole_model("magenta-rt-base", "Magenta RealTime, Base", "llm_base_x4286_c1860k", 1300 * MEGABYTE),
    _whole_model("magenta-rt-large", "Magenta RealTime, Large", "llm_large_x3047_c1860k", 2840 * MEGABYTE),
    Asset(
        name="magenta-rt-2-codec",
        title="SpectroStream as Magenta RealTime 2 has it",
        repository="google/magenta-realtime-2",
        resources=(
            Resource(
                part="codec", pattern="resources/spectrostream/encoder.safetensors", about_bytes=9_251_904 * FLOAT_BYTES
            ),
            Resource(
                part="codec", pattern="resources/spectrostream/decoder.safetensors", about_bytes=35_684_546 * FLOAT_BYTES
            ),
            # A file of its own in the layout that version 2's documents show; else it is within the decoder's.
            Resource(
                part="codec",
                pattern="resources/spectrostream/quantizer.safetensors",
                about_bytes=64 * 1024 * 256 * FLOAT_BYTES,
                required=False,
            ),
        ),
    ),
    Asset(
        name="magenta-rt-2-style",
        title="MusicCoCa as Magenta RealTime 2 has it",
        repository="google/magenta-realtime-2",
        resources=(
            Resource(part="style", pattern="resources/musiccoca/spm.model", about_bytes=1 * MEGABYTE),
            # Sizes not known; as float32 the two towers would be about this, and less if they are stored with fewer bits.
            Resource(part="style", pattern="resources/musiccoca/text_encoder.tflite", about_bytes=400 * MEGABYTE),
            Resource(part="style", pattern="resources/musiccoca/audio_preprocessor.tflite", about_bytes=2 * MEGABYTE),
            Resource(part="style", pattern="resources/musiccoca/music_encoder.tflite", about_bytes=380 * MEGABYTE),
            Resource(
                part="style",
                pattern="resources/musiccoca/pretrained_vector_quantizer.tflite",
                about_bytes=12 * 1024 * 768 * FLOAT_BYTES,
            ),
            Resource(
                part="style", pattern="resources/musiccoca/mapper.tflite", about_bytes=10 * MEGABYTE, required=False
            ),
        ),
    ),
    TESTDATA,
)


def find_asset(name: str) -> Asset:
    """The asset of that name.

    Raises:
      ValueError: there is none; the message lists the names.
    """
    for asset in ASSETS:
        if asset.name == name:
            return asset
    raise ValueError(f"nothing is called {name!r}; choose one of {', '.join(asset.name for asset in ASSETS)}")
