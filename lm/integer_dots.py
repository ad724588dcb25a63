"""Sums of products of 16-bit and 8-bit integers, as vectors: the inner loop of a product with int8 weights.

numba turns a plain loop into vectors too, but one sum at a time: half of the time then goes into adding up the lanes of
each. Here one or two rows meet four outputs at once, so that numbers that were read are used four times.

      row 0   x x x x ...      .  products of neighbours are added in pairs: processors have an instruction for
      row 1   x x x x ...      .  that (x86: pmaddwd), which the compiler recognises; on others it is as right
    output n  w w w w ...

What is written here is the compiler's own language, for which every processor will do. `lm.frame_loop` compiles it in:
what numba keeps of that is made anew when that file changes, so change it too (a comment will do) when this one changes.
"""

from collections.abc import Callable
from typing import Any, no_type_check

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

FOUR = 4
"""Outputs at a time."""
LANES = 16
"""Products at a time."""
_INT8, _INT16, _INT32 = ir.IntType(8), ir.IntType(16), ir.IntType(32)
_PRODUCTS, _PAIRS = ir.VectorType(_INT32, LANES), ir.VectorType(_INT32, LANES // 2)
_EVEN, _ODD = (ir.Constant(_PAIRS, list(range(first, LANES, 2))) for first in (0, 1))


@no_type_check
def _dots_of(rows: int) -> Callable:
    """The function for so many rows at once."""

    @intrinsic
    def dots(context, x, weights, row, output, totals):
        """totals[row + r, output + o] = x[row + r] . weights[output + o] for r < rows, o < FOUR; bounds are not checked.

        Args:
          x: Int16[rows inputs]; weights: Int8[outputs inputs]; totals: Int32[rows outputs]; all in C order.
          row, output: the first of each.
        """

        def generate(context, builder, signature, arguments):
            return _generate(context, builder, signature, arguments, rows)

        return types.void(x, weights, row, output, totals), generate

    return dots


@no_type_check
def _generate(context: Any, builder: Any, signature: Any, arguments: Any, rows: int) -> Any:
    """Writes the loop over blocks of inputs, and the rest one by one."""
    x, weights, totals = (context.make_array(signature.args[n])(context, builder, arguments[n]) for n in (0, 1, 4))
    row, output = arguments[2:4]
    inputs = cgutils.unpack_tuple(builder, weights.shape)[1]
    outputs = cgutils.unpack_tuple(builder, totals.shape)[1]
    cells = [(r, o) for r in range(rows) for o in range(FOUR)]
    number = lambda value: ir.Constant(inputs.type, value)  # noqa: E731
    place = lambda first, step, width, k: builder.add(builder.mul(builder.add(first, number(step)), width), k)  # noqa: E731

    def read(array, first, step, k, kind):
        pointer = builder.gep(array.data, [place(first, step, inputs, k)])
        vector = ir.VectorType(kind, LANES)
        loaded = builder.load(builder.bitcast(pointer, vector.as_pointer()), align=1, typ=vector)
        return builder.sext(loaded, _PRODUCTS)

    sums = {cell: cgutils.alloca_once_value(builder, ir.Constant(_PAIRS, None)) for cell in cells}
    with cgutils.for_range(builder, builder.udiv(inputs, number(LANES))) as loop:
        k = builder.mul(loop.index, number(LANES))
        read_rows = [read(x, row, r, k, _INT16) for r in range(rows)]
        read_outputs = [read(weights, output, o, k, _INT8) for o in range(FOUR)]
        for r, o in cells:
            products = builder.mul(read_rows[r], read_outputs[o], flags=("nsw",))
            even, odd = (builder.shuffle_vector(products, products, lanes) for lanes in (_EVEN, _ODD))
            pairs = builder.add(even, odd, flags=("nsw",))
            builder.store(builder.add(builder.load(sums[r, o]), pairs), sums[r, o])
    reduce = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_INT32, [_PAIRS]), f"llvm.vector.reduce.add.v{LANES // 2}i32"
    )
    own = {(r, o): builder.gep(totals.data, [place(row, r, outputs, builder.add(output, number(o)))]) for r, o in cells}
    for cell in cells:
        builder.store(builder.call(reduce, [builder.load(sums[cell])]), own[cell])
    rest = builder.sub(inputs, builder.urem(inputs, number(LANES)))
    with cgutils.for_range_slice(builder, rest, inputs, number(1)) as (k, _):
        for r, o in cells:
            factors = ((x, place(row, r, inputs, k)), (weights, place(output, o, inputs, k)))
            product = builder.mul(*(builder.sext(builder.load(builder.gep(a.data, [n])), _INT32) for a, n in factors))
            builder.store(builder.add(builder.load(own[r, o]), product), own[r, o])
    return context.get_dummy_value()


dots_of_one_row, dots_of_two_rows = _dots_of(1), _dots_of(2)
