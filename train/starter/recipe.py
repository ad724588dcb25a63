"""The starter's recipe: how much of what is rendered and trained, and for how long."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class StarterRecipe:
    """Everything that decides the bundled starter, in the order in which it is used.

    Times are training seconds on two CPU cores; a stage that was stopped goes on where it stood, and a stage that
    is done is not run again. Source of the amounts: the project's own trials (docs/benchmarks.md).
    """

    # --- what is rendered: a work directory holds pieces of one set of these
    # Pieces rendered for training, spread evenly over the starter's genres.
    num_pieces: int = 2400
    # Pieces a shard: the unit that is lost when rendering is interrupted (half a minute of one core).
    pieces_per_shard: int = 60
    # Length of one piece in seconds.
    piece_seconds: float = 30.0
    # Seed of piece 0; piece i has seed + i. Held-out seeds start at 900,000,000 (train/evaluation/renders.py).
    first_seed: int = 1_000
    # Captions of each piece that the language model may be given as its style.
    captions_per_piece: int = 8
    # Pieces at the end of the set that are kept out of training for validation losses.
    held_out_pieces: int = 60
    # Seed of every initialisation and sampler.
    seed: int = 0

    # --- codec
    # Shards whose features train the codec (8 shards of 60 pieces are 4 h).
    codec_shards: int = 8
    # Wall seconds of codec training (one core).
    codec_seconds: float = 1_320.0

    # --- style
    # Wall seconds of style tower training (two cores).
    style_seconds: float = 780.0
    # Audio-text pairs a step.
    style_batch: int = 64

    # --- language model
    # Wall seconds of language model training (two cores).
    lm_seconds: float = 3_180.0
    # Layers of its temporal stack: two more make the bundle 1.9 MB larger and a request slower.
    lm_temporal_layers: int = 6
    # Crops a step.
    lm_batch: int = 8
    # Frames of target in a training crop. Longer than any request: the encoder's cost is paid once for three times as
    # many frames, and frames far apart make a quieter gradient than 2 s of neighbours (which stalled in a trial).
    lm_target_frames: int = 150
    # Of these, frames that the depth stack scores in a step, drawn anew each time. A third: a step is about a fifth
    # quicker than with two thirds, and both learn as fast by the clock.
    lm_depth_frames: int = 50
    # How many times as often as the others the genres by which steering is judged are drawn (those that the sentences of
    # train/studio/held_out.py mean): so small a model cannot learn all of them equally well in an hour. 1: all alike.
    lm_favour: int = 3
    # Peak learning rate of the language model (Muon).
    lm_learning_rate: float = 1.5e-3

    # --- refinement model
    # Wall seconds of refinement model training.
    refinement_seconds: float = 240.0
    # Whether the refinement model is trained and goes into the bundle. In the time given it hardly beats guessing by
    # frequency (6.27 of 6.34 nats), and codes drawn from that are noise: the decoder does better with the four levels.
    ship_refinement: bool = False

    def __post_init__(self) -> None:
        if not self.held_out_pieces < self.num_pieces:
            raise ValueError(f"got held_out_pieces {self.held_out_pieces}, expected fewer than num_pieces {self.num_pieces}")
        if not 0 < self.codec_shards <= self.num_shards:
            raise ValueError(f"got codec_shards {self.codec_shards}, expected 1 to the number of shards {self.num_shards}")

    @property
    def num_shards(self) -> int:
        """Number of rendered shards; the last one may be smaller."""
        return -(-self.num_pieces // self.pieces_per_shard)

    @property
    def hours(self) -> float:
        """Hours of music rendered."""
        return self.num_pieces * self.piece_seconds / 3600


RENDERED_FIELDS = (
    "num_pieces",
    "pieces_per_shard",
    "piece_seconds",
    "first_seed",
    "captions_per_piece",
    "held_out_pieces",
    "seed",
)
"""Fields that must not change within a work directory; times of training may."""


def cpu() -> StarterRecipe:
    """Two CPU cores, at most 100 minutes."""
    return StarterRecipe()


def longer() -> StarterRecipe:
    """The recipe for two CPU cores with more of its language model, which is what is short of training there.

    It goes on in the other's work directory from where that ended: the rate at which it learns is raised again to what it
    would have been in the middle of the longer run. The bundled starter was made by the two, one after the other.
    """
    return dataclasses.replace(cpu(), lm_seconds=7_300.0)


def gpu() -> StarterRecipe:
    """One large GPU and sixteen CPU cores, under 20 minutes in two commands (train/starter/gpu.py).

    What is rendered is limited by what may travel between the two: the GPU could see a hundred times as much.
    """
    return StarterRecipe(
        num_pieces=5_040,
        codec_shards=12,
        codec_seconds=190.0,
        style_seconds=80.0,
        style_batch=256,
        lm_seconds=440.0,
        lm_temporal_layers=8,
        lm_batch=48,
        lm_depth_frames=150,
        lm_favour=1,
    )


def smoke() -> StarterRecipe:
    """A recipe that runs every stage in a few minutes, to see that the chain holds. Its model knows nothing."""
    return StarterRecipe(
        num_pieces=24,
        pieces_per_shard=6,
        piece_seconds=20.0,
        codec_shards=2,
        codec_seconds=15.0,
        style_seconds=15.0,
        style_batch=16,
        lm_seconds=20.0,
        lm_batch=2,
        lm_depth_frames=10,
        refinement_seconds=15.0,
        held_out_pieces=6,
    )


RECIPES = {"cpu": cpu, "longer": longer, "gpu": gpu, "smoke": smoke}
"""By the name that the command line knows them by."""
_GOES_ON_FROM = {"longer": "cpu"}


def work_directory(recipe: str = "cpu") -> Path:
    """Where renders and checkpoints of a recipe live: outside the checkout, in the user's cache directory."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "magenta_rt_py" / f"starter-{_GOES_ON_FROM.get(recipe, recipe)}"
