"""What a file or folder is: which of the known forms of a language model, codec or style model, or several of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from magenta_rt_py.released.codec_files import CodecFiles, find_codec
from magenta_rt_py.released.style_files import StyleFiles, find_style
from magenta_rt_py.released.t5x import find_checkpoint
from magenta_rt_py.released.tree import open_tree

ARCHIVES = (".tar", ".tar.gz", ".tgz")
CODEC_FOLDERS = ("savedmodels/ssv2_48k_stereo", "resources/spectrostream")
"""Where the two releases keep the codec."""
STYLE_FOLDERS = ("savedmodels", "resources/musiccoca")
"""Where the two releases keep the style model."""
KNOWN = (
    "a T5X checkpoint (folder or .tar), a bundle, SpectroStream (safetensors or SavedModels) or MusicCoCa (SavedModels or "
    "TFLite programs)"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources:
    """Where each part comes from; None where there is nothing."""

    bundle: Path | None = None
    lm: Path | None = None
    codec: CodecFiles | None = None
    style: StyleFiles | None = None

    @property
    def parts(self) -> set[str]:
        """Names of the parts that released files are given for."""
        return {name for name in ("lm", "codec", "style") if getattr(self, name) is not None}


def is_bundle(place: Path) -> bool:
    """Whether a folder is meant to be a bundle."""
    return (place / "bundle.json").is_file()


def find_sources(places: Sequence[Path], *, codec: Sequence[Path] = (), style: Sequence[Path] = ()) -> Sources:
    """Finds out what files and folders are.

    Args:
      places: of any form; each may hold several parts where the release has them.
      codec, style: files and folders that are said to be these.
    Raises:
      ValueError: one is not there or of no known form, or a part is given twice.
      CheckpointError: an archive is damaged, or a folder holds several checkpoints.
    """
    for place in (*places, *codec, *style):
        if not place.exists():
            raise ValueError(f"{place}: there is no such file or folder; check the path")
    found = Sources()
    for place in places:
        found = _joined(found, _look(place), place)
    for option, given, find in (("codec", codec, find_codec), ("style", style, find_style)):
        if given:
            files = find([*given])
            if files is None:
                shown = ", ".join(map(str, given))
                raise ValueError(f"--{option} {shown}: none of its released files are there; expected {KNOWN}")
            found = _joined(found, Sources(**{option: files}), given[0])
    return found


def _look(place: Path) -> Sources:
    """What one file or folder is."""
    if is_bundle(place):
        return Sources(bundle=place)
    found = Sources(lm=_find_lm(place), codec=find_codec([place]), style=find_style([place]))
    if place.is_dir():
        inside = {folder: place / folder for folder in (*CODEC_FOLDERS, *STYLE_FOLDERS) if (place / folder).is_dir()}
        codecs = [find_codec([inside[folder]]) for folder in CODEC_FOLDERS if folder in inside]
        styles = [find_style([inside[folder]]) for folder in STYLE_FOLDERS if folder in inside]
        found = dataclasses.replace(
            found,
            codec=found.codec or next((files for files in codecs if files), None),
            style=found.style or next((files for files in styles if files), None),
        )
    if not found.parts:
        raise ValueError(f"{place} is none of the known forms; expected {KNOWN}")
    return found


def _find_lm(place: Path) -> Path | None:
    """The folder or archive of a T5X checkpoint: the place itself, or the only one in its folder "checkpoints"."""
    if place.is_file():
        return place if place.name.endswith(ARCHIVES) else None
    if find_checkpoint(open_tree(place)) is not None:
        return place
    below = sorted((place / "checkpoints").glob("*"))
    # The released program unpacks an archive into a folder beside it; then both may be there.
    unpacked = {one.with_name(f"{one.name}.tar") for one in below if one.is_dir()}
    checkpoints = [one for one in below if _find_lm(one) and one not in unpacked]
    if len(checkpoints) > 1:
        names = ", ".join(one.name for one in checkpoints)
        raise ValueError(f"{place / 'checkpoints'} holds {len(checkpoints)} checkpoints; give one of them: {names}")
    return checkpoints[0] if checkpoints else None


def _joined(found: Sources, more: Sources, place: Path) -> Sources:
    """Both together; refuses what is in both."""
    for field in dataclasses.fields(Sources):
        if getattr(found, field.name) is not None and getattr(more, field.name) is not None:
            raise ValueError(f"{place}: a {field.name} was given already; give it once")
    given = {field.name: getattr(more, field.name) for field in dataclasses.fields(Sources)}
    return dataclasses.replace(found, **{name: value for name, value in given.items() if value is not None})
