"""One training step on a mesh: gradients averaged over microbatches, weights and moments where their rules put them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Float

from magenta_rt_py.train import loop
from magenta_rt_py.train.loop import StepFunction, TrainState, apply_gradients
from magenta_rt_py.train.sharding import place, place_batch, replicated, shardings_of

FrozenLoss = Callable[[Any, Any, Any, Array], tuple[Array, dict[str, Array]]]
"""(trained parameters, frozen parameters, batch, key) -> (loss, metrics)."""

PureStep = Callable[[TrainState, Any, Any, Array], tuple[TrainState, dict[str, Any]]]
"""(state, frozen parameters, batch, learning rate) -> (state, metrics)."""


def create_state(params: Any, optimizer: optax.GradientTransformation, mesh: Mesh, *, with_average: bool) -> TrainState:
    """`loop.create_state` on a mesh: moments are made where they belong and never lie whole on one device."""
    params = place(params, mesh)

    def create(given: Any) -> TrainState:
        return loop.create_state(given, optimizer, with_average=with_average)

    shapes = jax.eval_shape(create, params)
    return jax.jit(create, out_shardings=shardings_of(shapes, mesh))(params)


def pure_step(
    loss_function: FrozenLoss,
    optimizer: optax.GradientTransformation,
    *,
    accumulate: int = 1,
    seed: int = 0,
    final_ema_decay: float | None = None,
) -> PureStep:
    """A step as a pure function, to be compiled, exported or measured.

    Args:
      loss_function: mean over the batch's crops.
      optimizer: for a learning rate of one, see `train.optim`.
      accumulate: microbatches the batch is cut into; their gradients are averaged, so that only one's activations are
        in memory at a time. It must divide the batch.
      seed: with the step it fixes the key that the loss is given, the same for all microbatches.
      final_ema_decay: None where no average is kept.
    """

    def step(
        state: TrainState, frozen: Any, batch: Any, learning_rate: Float[Array, ""]
    ) -> tuple[TrainState, dict[str, Any]]:
        key = jax.random.fold_in(jax.random.PRNGKey(seed), state.step)

        def gradients_of(microbatch: Any) -> tuple[Array, dict[str, Array], Any]:
            gradient = jax.value_and_grad(loss_function, has_aux=True)
            (loss, metrics), gradients = gradient(state.params, frozen, microbatch, key)
            return loss, metrics, gradients

        if accumulate == 1:
            loss, metrics, gradients = gradients_of(batch)
        else:
            loss, metrics, gradients = _mean_over(gradients_of, _cut(batch, accumulate), accumulate)
        metrics = {"loss": loss, **metrics, "gradient_norm": optax.tree.norm(gradients)}
        return apply_gradients(state, gradients, optimizer, learning_rate, final_ema_decay=final_ema_decay), metrics

    return step


def compile_step(step: PureStep, state: TrainState, frozen: Any, mesh: Mesh) -> StepFunction:
    """The step for `loop.run`: compiled for a mesh, its frozen parameters given; donates the state it is given.

    Args:
      step: see `pure_step`.
      state: of `create_state`; its arrays stay where they are.
      frozen: parameters that are read but not trained, already placed; () if there are none.
      mesh: of both.
    """
    compiled = jax.jit(step, donate_argnums=0, out_shardings=(shardings_of(state, mesh), replicated(mesh)))

    def run(state: TrainState, batch: Any, learning_rate: Float[Array, ""]) -> tuple[TrainState, dict[str, Any]]:
        if not isinstance(state.elapsed_seconds.sharding, NamedSharding):  # the loop has just written it
            state = state._replace(elapsed_seconds=place(np.float32(state.elapsed_seconds), mesh))
        return compiled(state, frozen, place_batch(batch, mesh), np.float32(learning_rate))

    return run


def _cut(batch: Any, count: int) -> Any:
    """Arrays [batch, ...] as [microbatches, batch / microbatches, ...], each with rows of every device."""

    def cut(array: Array) -> Array:
        if array.shape[0] % count:
            raise ValueError(f"got a batch of {array.shape[0]} to cut into {count}, expected a multiple; change accumulate")
        return jnp.swapaxes(array.reshape(array.shape[0] // count, count, *array.shape[1:]), 0, 1)

    return jax.tree.map(cut, batch)


def _mean_over(gradients_of: Callable[[Any], Any], microbatches: Any, count: int) -> Any:
    """Loss, metrics and gradients, averaged over the microbatches one after the other."""

    def add(total: Any, microbatch: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, gradients_of(microbatch)), None

    first = jax.tree.map(lambda array: array[0], microbatches)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(gradients_of, first))
    total, _ = jax.lax.scan(add, zeros, microbatches)
    return jax.tree.map(lambda leaf: leaf / count, total)
