"""Optimisers and learning-rate schedules, expressed with optax.

An optimiser here gives the *direction* of a step for a learning rate of one; `train.loop` multiplies it by
the learning rate of the moment, because that rate may follow the wall clock and not only the step count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib

Schedule = Callable[[int, float], float]
"""(step, fraction of the budget spent, 0..1) -> learning rate."""


@dataclass(frozen=True, kw_only=True)
class AdamWConfig:
    """AdamW as it trained the starter model well on two CPU cores."""

    # Decay of the first moment.
    b1: float = 0.9
    # Decay of the second moment; below the usual 0.999 because runs are a few thousand steps long.
    b2: float = 0.98
    # Added to the root of the second moment.
    epsilon: float = 1e-8
    # Decoupled weight decay per unit of learning rate; matrices only, never norms and biases.
    weight_decay: float = 0.02
    # Largest global gradient norm; larger gradients are scaled down to it.
    clip_norm: float = 1.0


def adamw(
    config: AdamWConfig = AdamWConfig(), *, multipliers: Sequence[tuple[str, float]] = ()
) -> optax.GradientTransformation:
    """AdamW for a learning rate of one (see the module's docstring).

    Args:
      config: moments, decay and clipping.
      multipliers: (regular expression, factor) pairs tried in order on a parameter's slash path; the first
        match scales that parameter's step, 0 freezes it. Wide matrices that start from a fitted solution
        need small factors: a step of 1e-3 ruins entries of size 0.02.
    """
    parts = [
        optax.clip_by_global_norm(config.clip_norm),
        optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.epsilon),
        optax.add_decayed_weights(config.weight_decay, mask=_matrices),
    ]
    if multipliers:
        parts.append(_scale_by_path(multipliers))
    return optax.chain(*parts, optax.scale(-1.0))


@dataclass(frozen=True, kw_only=True)
class MuonConfig:
    """Muon on the matrices of the layers, Adam with Nesterov momentum on everything else (tables, biases, norms).

    Source: Jordan et al. 2024, with the Newton-Schulz coefficients of optax; the scale of the update is ours.
    """

    # Decay of the momentum.
    beta: float = 0.95
    # Newton-Schulz iterations.
    iterations: int = 3
    # Root mean square of a matrix's update per unit of learning rate (Adam's is near 1 early and below it later).
    update_rms: float = 1.0
    # Decays of Adam's two moments for what is no matrix.
    b1: float = 0.9
    b2: float = 0.98
    # Decoupled weight decay per unit of learning rate; matrices only.
    weight_decay: float = 0.02
    # Largest global gradient norm; larger gradients are scaled down to it.
    clip_norm: float = 1.0


def muon(config: MuonConfig = MuonConfig()) -> optax.GradientTransformation:
    """Muon for a learning rate of one (see the module's docstring): a step in which every direction counts alike."""

    def dimensions(params: Any) -> Any:
        def of(path: tuple[Any, ...], leaf: Any) -> contrib.MuonDimensionNumbers | None:
            matrix = path_name(path).endswith("kernel") and jnp.ndim(leaf) == 2
            return contrib.MuonDimensionNumbers() if matrix else None

        return jax.tree_util.tree_map_with_path(of, params)

    step = contrib.muon(
        learning_rate=1.0,
        ns_steps=config.iterations,
        beta=config.beta,
        weight_decay=config.weight_decay,
        adam_b1=config.b1,
        adam_b2=config.b2,
        consistent_rms=config.update_rms,
        muon_weight_dimension_numbers=dimensions,
    )
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), step)


@dataclass(frozen=True, kw_only=True)
class AdafactorConfig:
    """The released training's Adafactor (Live Music Models, section 3 and the released gin settings)."""

    # Exponent c of the second moment's decay 1 - t^-c.
    decay_exponent: float = 0.8
    # Update root mean square above which a tensor's update is scaled down.
    clipping_threshold: float = 1.0
    # Smallest two dimensions for which the second moment is kept as row and column sums only.
    smallest_factored_dimension: int = 128
    # Floor of a parameter's root mean square where the update is multiplied by it.
    parameter_scale_floor: float = 1e-3


def adafactor(config: AdafactorConfig = AdafactorConfig()) -> optax.GradientTransformation:
    """Factored, momentum-free Adafactor with updates in units of each parameter's own size.

    Its second moment starts anew in a finetune and counts its own steps: optax's `step_offset`, given without the old
    state, would raise a negative number to a broken power.
    """
    return optax.chain(
        optax.scale_by_factored_rms(
            factored=True,
            decay_rate=config.decay_exponent,
            min_dim_size_to_factor=config.smallest_factored_dimension,
        ),
        optax.clip_by_block_rms(config.clipping_threshold),
        optax.scale_by_param_block_rms(config.parameter_scale_floor),
        optax.scale(-1.0),
    )


def warmup_cosine(peak_learning_rate: float, *, warmup_steps: int = 80, final_ratio: float = 0.03) -> Schedule:
    """Linear warm-up by steps, then a cosine over the *fraction* of the budget.

    The cosine reaches `final_ratio * peak_learning_rate` when the budget (seconds or steps) is spent, so a
    run always ends annealed however fast the machine is.
    """
    if peak_learning_rate <= 0:
        raise ValueError(f"peak_learning_rate is {peak_learning_rate}; it must be above 0")

    def schedule(step: int, fraction: float) -> float:
        rise = min(1.0, (step + 1) / max(warmup_steps, 1))
        fall = 0.5 * (1.0 + math.cos(math.pi * min(max(fraction, 0.0), 1.0)))
        return peak_learning_rate * rise * (final_ratio + (1.0 - final_ratio) * fall)

    return schedule


def inverse_square_root(base_learning_rate: float = 1.0, *, warmup_steps: int = 10_000, step_offset: int = 0) -> Schedule:
    """The released schedule: base / sqrt(max(step, warm-up)), constant during the warm-up.

    `step_offset` is the step of a finetuned checkpoint (1,860,000 for the released ones). The fraction of the
    budget is ignored.
    """

    def schedule(step: int, fraction: float) -> float:
        del fraction
        return base_learning_rate / math.sqrt(max(step + step_offset, warmup_steps, 1))

    return schedule


def released_finetuning(*, step_offset: int, base_learning_rate: float = 0.5, warmup_steps: int = 1_000) -> Schedule:
    """The released finetune's schedule: base * min(1, step / warm-up) / sqrt(max(step, warm-up)).

    Source: the released finetune notebook's settings (t5x: constant * linear_warmup * rsqrt_decay).

    Args:
      step_offset: step of the checkpoint that is finetuned, from which steps go on (1,860,000 for the released ones).
      base_learning_rate: multiplied by each parameter's own size in `adafactor`.
      warmup_steps: also the step from which the rate falls.
    """
    falling = inverse_square_root(base_learning_rate, warmup_steps=warmup_steps, step_offset=step_offset)

    def schedule(step: int, fraction: float) -> float:
        return min(1.0, (step + step_offset) / warmup_steps) * falling(step, fraction)

    return schedule


def constant(learning_rate: float) -> Schedule:
    """The same learning rate throughout."""

    def schedule(step: int, fraction: float) -> float:
        del step, fraction
        return learning_rate

    return schedule


def path_name(path: tuple[Any, ...]) -> str:
    """A pytree key path as a slash path: ('encoder', 'kernel') -> 'encoder/kernel'."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _matrices(params: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) > 1, params)


def _scale_by_path(multipliers: Sequence[tuple[str, float]]) -> optax.GradientTransformation:
    """Scale each update by the factor of the first expression that matches its path (1 where none does)."""
    rules = [(re.compile(pattern), factor) for pattern, factor in multipliers]

    def factor_of(path: tuple[Any, ...]) -> float:
        name = path_name(path)
        return next((factor for pattern, factor in rules if pattern.search(name)), 1.0)

    def scale(updates: Any, params: Any = None) -> Any:
        del params
        return jax.tree_util.tree_map_with_path(lambda path, update: update * factor_of(path), updates)

    return optax.stateless(scale)
