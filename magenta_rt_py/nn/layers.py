"""Stacks of equal layers: the shapes of one layer tell those of all, and tracing one is quicker than tracing all."""

from collections.abc import Mapping

Shapes = dict[str, tuple[int, ...]]
"""Slash path to shape."""


def repeat_layers(shapes: Mapping[str, tuple[int, ...]], counts: Mapping[str, int]) -> Shapes:
    """Shapes of a model whose stacks have several layers, from those of the same model with one layer a stack.

    Args:
      shapes: of the model with one layer a stack, number 0.
      counts: path up to a layer's number ("encoder/layers_") -> layers of that stack, 0 or more.
    """
    repeated: Shapes = {}
    for path, shape in shapes.items():
        stack = next((name for name in counts if path.startswith(f"{name}0/")), None)
        if stack is None:
            repeated[path] = shape
            continue
        rest = path.removeprefix(f"{stack}0/")
        repeated |= {f"{stack}{number}/{rest}": shape for number in range(counts[stack])}
    return repeated
