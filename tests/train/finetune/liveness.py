"""Most bytes that are alive at once in a traced function, each result from where it is made to where it is last read.

Without any fusion, in the order in which JAX traced it; unlike the CPU's compiler, which merges a layer that is computed
again with its first computation, it keeps rematerialisation as it is written.
"""

import math

from jax.extend import core

VIEWS = {"broadcast_in_dim", "reshape", "squeeze", "convert_element_type", "copy", "stop_gradient"}
"""What no compiler gives memory of its own: a part of what reads it."""


def peak_bytes(jaxpr: core.Jaxpr) -> int:
    """The most, results included, arguments not."""
    last = {}
    for place, equation in enumerate(jaxpr.eqns):
        last |= dict.fromkeys(_variables(equation.invars), place)
    last |= dict.fromkeys(_variables(jaxpr.outvars), len(jaxpr.eqns))
    held, live, most = {}, 0, 0
    for place, equation in enumerate(jaxpr.eqns):
        made = {variable: 0 if equation.primitive.name in VIEWS else _size(variable) for variable in equation.outvars}
        inside = max((peak_bytes(inner) for inner in _inner(equation)), default=0)
        most = max(most, live + max(inside, sum(made.values())))
        held |= made
        live += sum(made.values())
        for variable in {*_variables(equation.invars), *equation.outvars}:
            if last.get(variable, place) == place:
                live -= held.pop(variable, 0)
    return most


def _variables(atoms) -> list:
    return [atom for atom in atoms if not isinstance(atom, core.Literal)]


def _size(variable) -> int:
    return math.prod(variable.aval.shape) * variable.aval.dtype.itemsize


def _inner(equation):
    for value in equation.params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, core.ClosedJaxpr):
                yield one.jaxpr
            elif isinstance(one, core.Jaxpr):
                yield one
