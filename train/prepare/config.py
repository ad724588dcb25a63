"""How a folder is prepared."""

from __future__ import annotations

import dataclasses
import hashlib
import json

from magenta_rt_py.train.folder import FolderConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """What decides the bytes of a prepared folder, besides its files and the bundle."""

    # How files are cut, levelled and refused.
    folder: FolderConfig = dataclasses.field(default_factory=FolderConfig)
    # Audio that goes into a shard, minutes; a longer file is a shard of its own. What is lost when work is killed.
    shard_minutes: float = 15.0
    # Share of the audio that is held out, in whole files; at least one file where there are two.
    held_out_share: float = 0.1
    # Held-out audio at most, minutes.
    longest_held_out_minutes: float = 30.0
    # Captions stored for each piece; fewer are repeated.
    captions_per_piece: int = 8
    # Whether tempo, key, brightness and density are measured and said in captions.
    measured_words: bool = True
    # Whether pieces of files on a steady beat begin on a bar line and have a clock.
    clock: bool = True
    # Training files are heard again at these speeds (0.7 semitones lower and higher), ours: half an hour of music is soon
    # known by heart.
    copy_speeds: tuple[float, ...] = (0.96, 1.04)
    # Only where there is less music than this, minutes; 0 never.
    copies_below_minutes: float = 60.0
    # Files of a lower sample rate are used, and named as band limited (Hz).
    full_band_hz: int = 32_000

    def __post_init__(self) -> None:
        """Refuses numbers that make no shards."""
        if not self.shard_minutes > 0:
            raise ValueError(f"got shard_minutes={self.shard_minutes}, expected more than 0")
        if not 0 <= self.held_out_share < 1:
            raise ValueError(f"got held_out_share={self.held_out_share}, expected 0 or more and less than 1")
        if not all(0.5 <= speed <= 2.0 for speed in self.copy_speeds):
            raise ValueError(f"got copy_speeds={self.copy_speeds}, expected numbers from 0.5 to 2; 1 is as it is")
        if self.captions_per_piece < 1:
            raise ValueError(f"got captions_per_piece={self.captions_per_piece}, expected at least 1")

    def as_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self) | {"copy_speeds": list(self.copy_speeds)}

    @property
    def file_fingerprint(self) -> str:
        """16 hexadecimal digits of the settings that decide what one file becomes; sharding does not."""
        names = ("folder", "captions_per_piece", "measured_words", "clock", "full_band_hz")
        chosen = {name: self.as_dict()[name] for name in names}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]
