"""Shapes of many layers from those of one equal what tracing all of them says."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict

from magenta_rt_py.nn.layers import repeat_layers


class Stack(nn.Module):
    count: int

    def setup(self) -> None:
        self.layers = [nn.Dense(3) for _ in range(self.count)]
        self.layers_after = nn.Dense(2)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.layers_after(x)


def shapes(count: int) -> dict:
    tree = jax.eval_shape(Stack(count).init, jax.random.key(0), jnp.zeros((1, 3)))["params"]
    return {f"part/{path}": leaf.shape for path, leaf in flatten_dict(tree, sep="/").items()}


def test_one_layer_tells_the_shapes_of_all():
    for count in (0, 1, 2, 11):
        assert repeat_layers(shapes(1), {"part/layers_": count}) == shapes(count)
