"""Everything that decides a finetune, and the two ways in use: the starter's and the released one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil

import optax

from magenta_rt_py.lm.adapters import AdapterConfig
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.train import optim
from magenta_rt_py.train.history import HistoryConfig
from magenta_rt_py.train.sharding import MeshConfig

METHODS = ("full", "lora")
"""Every weight is trained, or two thin matrices beside each kernel (`lm.adapters`)."""

LEARNING_RATES = {
    ("full", "muon"): 5e-4,
    ("full", "adamw"): 1e-4,
    ("full", "adafactor"): 0.5,
    ("lora", "muon"): 1e-3,
    ("lora", "adamw"): 1e-3,
    ("lora", "adafactor"): 0.5,
}
"""(method, optimiser) -> peak learning rate where none is given; Adafactor's is the base of the released schedule.

Source: ours, a third of the rate the starter was trained with; Hu et al. 2021 for adapters; the released settings.
"""

ADAFACTOR_WARMUP_STEPS = 1_000
"""Fewest steps of warm-up with Adafactor, whose peak is base / sqrt(warm-up) of each parameter's size (released)."""


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """One finetune; the defaults are the starter's on two CPU cores."""

    # "full" or "lora".
    method: str = "full"
    # Size and place of the adapters, with "lora".
    adapters: AdapterConfig = field(default_factory=AdapterConfig)
    # "muon", "adamw" or "adafactor".
    optimizer: str = "muon"
    # Peak learning rate, of Adafactor the base of the released schedule; None: LEARNING_RATES.
    learning_rate: float | None = None
    # Steps until the rate has reached its peak; Adafactor, whose rate falls from there on, takes 1000 at least.
    warmup_steps: int = 50
    # Step the checkpoint had reached: where the released schedule goes on.
    step_offset: int = 0
    # Steps; a finetune is limited by steps and never by time, so that it can be repeated exactly.
    steps: int = 1_000
    # Crops a step, over all devices.
    batch_size: int = 8
    # Microbatches a batch is cut into, one after the other: less memory, same gradients.
    accumulate: int = 1
    # Compute dtype of the layers; weights, moments and logits are float32 always.
    activation_dtype: str = "float32"
    # Whether layers are computed again for the gradient instead of kept.
    rematerialise: bool = False
    # Frames of target in a crop; None: the model's chunk.
    target_frames: int | None = 150
    # Of these, frames the depth stack scores in a step; None: all.
    depth_frames: int | None = 50
    # How the model's own recent past is spoilt, as in its first training; None: never.
    history: HistoryConfig | None = field(default_factory=HistoryConfig)
    # Share of all crops with the style masked; only rehearsed ones are, where there are any (see `crops`).
    style_dropout: float = 0.15
    # Share of crops whose past is hidden, wholly or up to a random frame: variable context.
    hidden_past_probability: float = 0.2
    # Share of crops from music the model knows, against forgetting.
    rehearsal_share: float = 0.375
    # Weight of a rehearsed crop's divergence from the base's own predictions, which then stand for its codes (see
    # `anchor`); 0: its codes are learned like the new music's. Costs a forward pass of these crops and the base's weights.
    anchor_weight: float = 2.0
    # Decay the weight average ends with; None: no average, which saves as much memory as the weights take.
    final_ema_decay: float | None = 0.998
    # Fixes weights, batches and draws.
    seed: int = 0
    # Steps between checkpoints.
    checkpoint_every_steps: int = 100
    # Newest checkpoints kept.
    keep_checkpoints: int = 3
    # Steps between held-out evaluations; None: only the one at the end.
    eval_every_steps: int | None = 300
    # Held-out crops of an evaluation.
    eval_crops: int = 32
    # Steps averaged into one line of metrics.
    log_every_steps: int = 20
    # Devices along data, fsdp and tensor.
    mesh: MeshConfig = field(default_factory=MeshConfig)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"got method {self.method!r}, expected one of {', '.join(METHODS)}")
        if (self.method, self.optimizer) not in LEARNING_RATES:
            raise ValueError(f"got optimizer {self.optimizer!r}, expected muon, adamw or adafactor")
        if self.steps < 1 or self.batch_size < 1 or self.accumulate < 1:
            raise ValueError(
                f"got steps {self.steps}, batch_size {self.batch_size}, accumulate {self.accumulate}; expected 1 or more"
            )
        if self.batch_size % self.accumulate:
            raise ValueError(f"got accumulate {self.accumulate}, expected a divisor of the batch size {self.batch_size}")
        if not 0.0 <= self.rehearsal_share < 1.0:
            raise ValueError(f"got rehearsal_share {self.rehearsal_share}, expected 0 or more and less than 1")
        if self.anchor_weight < 0:
            raise ValueError(f"got anchor_weight {self.anchor_weight}, expected 0 or more")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ValueError(f"got learning_rate {self.learning_rate}, expected above 0")

    @property
    def is_lora(self) -> bool:
        """Whether adapters are trained instead of the weights."""
        return self.method == "lora"

    @property
    def peak_learning_rate(self) -> float:
        """The rate given, or the default of the method and the optimiser."""
        return LEARNING_RATES[self.method, self.optimizer] if self.learning_rate is None else self.learning_rate

    @property
    def rehearsed_rows(self) -> int:
        """Most crops of a microbatch that are rehearsed, on all devices together; see `crops.RehearsedCrops`."""
        return ceil(ceil(self.rehearsal_share * self.batch_size) / self.accumulate)

    @property
    def is_anchored(self) -> bool:
        """Whether rehearsed crops are held to the base's predictions."""
        return self.rehearsal_share > 0 and self.anchor_weight > 0

    def make_optimizer(self) -> optax.GradientTransformation:
        """Optimiser for a learning rate of one, see `train.optim`."""
        return {"muon": optim.muon, "adamw": optim.adamw, "adafactor": optim.adafactor}[self.optimizer]()

    def make_schedule(self) -> optim.Schedule:
        """Adafactor goes on with the released schedule; the others warm up and fall along a cosine."""
        if self.optimizer == "adafactor":
            return optim.released_finetuning(
                base_learning_rate=self.peak_learning_rate,
                step_offset=self.step_offset,
                warmup_steps=max(self.warmup_steps, ADAFACTOR_WARMUP_STEPS),
            )
        return optim.warmup_cosine(self.peak_learning_rate, warmup_steps=self.warmup_steps)

    def crops_of_a_microbatch(self, mesh: Mapping[str, int]) -> int:
        """Crops of one microbatch on one device.

        Args:
          mesh: devices along each axis.
        Raises:
          ValueError: the batch cannot be split evenly.
        """
        shards = mesh["data"] * mesh["fsdp"]
        crops, left = divmod(self.batch_size, shards * self.accumulate)
        if left:
            raise ValueError(
                f"got a batch of {self.batch_size} crops for {shards} data shards and {self.accumulate} microbatches, "
                f"expected a multiple of {shards * self.accumulate}; change the batch size"
            )
        return crops

    def training_model(self, config: LMConfig) -> LMConfig:
        """The model as it is computed while training; its parameters are those of `config`."""
        return replace(config, activation_dtype=self.activation_dtype, rematerialise=self.rematerialise)


def starter(method: str = "full") -> FinetuneConfig:
    """A factorised model on two CPU cores: half an hour of music within 40 minutes."""
    if method == "lora":
        return FinetuneConfig(method="lora", optimizer="adamw")
    return FinetuneConfig(method=method)


def released(method: str = "full") -> FinetuneConfig:
    """A model of the released geometry, as the released notebook finetunes it: 6000 steps of 8 crops, Adafactor.

    Differs from the released one: no dropout (the model has none), and the last step is always saved.
    """
    return FinetuneConfig(
        method=method,
        optimizer="adafactor" if method == "full" else "adamw",
        learning_rate=None if method == "full" else 1e-4,
        step_offset=1_860_000,
        steps=6_000,
        batch_size=8,
        activation_dtype="bfloat16",
        rematerialise=True,
        target_frames=None,
        depth_frames=None,
        history=None,
        style_dropout=0.1,
        rehearsal_share=0.0,
        anchor_weight=0.0,
        final_ema_decay=None,
        checkpoint_every_steps=500,
        keep_checkpoints=5,
        eval_every_steps=1_000,
    )


def default_for(config: LMConfig, method: str = "full") -> FinetuneConfig:
    """The way that fits a model: the starter's if its tables are factorised, else the released one."""
    return starter(method) if config.factorised else released(method)
