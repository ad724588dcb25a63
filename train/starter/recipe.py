"""The starter's recipe: how much of what is rendered and trained, and for how long."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class StarterRecipe:
    """Everything that decides the bundled starter, in the order in which it is used.

    Times are training seconds on two CPU cores; a stage that was stopped goes on where it stood, and a stage that
    is done is not run again. Source of the amounts: the project's own trials (docs/benchmarks.md).
    """

    # Pieces rendered for training. 30 s each; spread evenly over the starter's genres.
    num_pieces: int = 1800
    # Pieces a shard: the unit that is lost when rendering is interrupted.
    pieces_per_shard: int = 60
    # Length of one piece in seconds.
    piece_seconds: float = 30.0
    # Seed of piece 0; piece i has seed + i. Held-out seeds start at 900,000,000 (train/evaluation/renders.py).
    first_seed: int = 1_000
    # Shards whose features train the codec (8 shards of 60 pieces are 4 h).
    codec_shards: int = 8
    # Wall seconds of codec training (one core).
    codec_seconds: float = 1_320.0
    # Wall seconds of style tower training.
    style_seconds: float = 600.0
    # Wall seconds of language model training (two cores).
    lm_seconds: float = 4_500.0
    # Frames of target in a training crop. Longer than any request: the encoder's cost is paid once for three times as
    # many frames, and frames far apart make a quieter gradient than 2 s of neighbours (which stalled in a trial).
    lm_target_frames: int = 150
    # Of these, frames that the depth stack scores in a step, drawn anew each time.
    lm_depth_frames: int = 50
    # Peak learning rate of the language model (Muon).
    lm_learning_rate: float = 1.5e-3
    # Wall seconds of refinement model training.
    refinement_seconds: float = 240.0
    # Whether the refinement model goes into the bundle. In the time given it hardly beats guessing by frequency (6.27 of
    # 6.34 nats), and codes drawn from that are noise: the decoder does better with the four levels alone.
    ship_refinement: bool = False
    # Pieces at the end of the set that are kept out of training for validation losses.
    held_out_pieces: int = 60
    # Captions written for each piece.
    captions_per_piece: int = 6
    # Seed of every initialisation and sampler.
    seed: int = 0

    @property
    def num_shards(self) -> int:
        """Number of rendered shards; the last one may be smaller."""
        return -(-self.num_pieces // self.pieces_per_shard)


def smoke() -> StarterRecipe:
    """A recipe that runs every stage in a few minutes, to see that the chain holds. Its model knows nothing."""
    return StarterRecipe(
        num_pieces=24,
        pieces_per_shard=12,
        piece_seconds=30.0,
        codec_shards=2,
        codec_seconds=20.0,
        style_seconds=20.0,
        lm_seconds=30.0,
        refinement_seconds=15.0,
        held_out_pieces=6,
    )


def work_directory() -> Path:
    """Where renders and checkpoints live: outside the checkout, in the user's cache directory."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "magenta_rt_py" / "starter"
