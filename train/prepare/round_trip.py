"""Does the codec know this music? The distance of some blocks from their round trip, before hours are spent on tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.train.evaluation.audio_metrics import mel_distance
from magenta_rt_py.train.evaluation.recordings import blocks
from magenta_rt_py.train.evaluation.renders import CodecLike
from magenta_rt_py.train.prepare.manifest import ManifestEntry

MOST_FILES = 8
"""Files that are tried, spread over the folder."""

BLOCK_SECONDS = 4.0
"""Of each, one block."""

RMS = 0.126
"""Level of the blocks, -18 dBFS: the distance has a floor, so it depends on the level."""

WARNING_DB = 4.5
"""Above it tokens keep too little of the sound. The bundled codec has about 3 dB on music of the studio."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """Mel distance in dB of each file that was tried, by path."""

    distances_db: dict[str, float]

    @property
    def mean_db(self) -> float:
        """Mean over the files."""
        return float(np.mean(list(self.distances_db.values())))

    @property
    def lines(self) -> list[str]:
        """For people: the distance, and a warning where it is large."""
        if not self.distances_db:
            return ["codec: no block of sound was found to try it on"]
        worst = max(self.distances_db, key=self.distances_db.__getitem__)
        lines = [
            f"codec: a block of each of {len(self.distances_db)} files comes back at {self.mean_db:.1f} dB mel distance, "
            f"the worst at {self.distances_db[worst]:.1f} dB ({worst})"
        ]
        if self.mean_db > WARNING_DB:
            lines.append(
                f"warning: above {WARNING_DB:g} dB the codec loses much of this sound, and so will every model that is "
                "trained on its codes; listen first: mrtpy codec encode FILE x.npz && mrtpy codec decode x.npz x.flac"
            )
        return lines


def try_codec(directory: Path, entries: Sequence[ManifestEntry], codec: CodecLike) -> RoundTrip:
    """Encodes and decodes a block from the middle of some files.

    Args:
      directory: the audio folder.
      entries: its files; those that cannot be read are passed over here, and named later.
      codec: the bundle's.
    """
    places = np.unique(np.linspace(0, len(entries) - 1, min(MOST_FILES, len(entries))).round().astype(int))
    distances = {}
    for entry in (entries[place] for place in places):
        try:
            found = list(blocks(directory / entry.path, seconds=BLOCK_SECONDS, most=3))
        except AudioFormatError:
            continue
        for sound in found[len(found) // 2 : len(found) // 2 + 1]:
            samples = sound.samples * np.float32(RMS / np.sqrt(np.mean(sound.samples.astype(np.float64) ** 2)))
            decoded = codec.decode(codec.encode(samples[None]))[0]
            distances[entry.path] = round(mel_distance(samples, np.asarray(decoded)[: len(samples)]), 2)
    return RoundTrip(distances_db=distances)
