"""Adam on the weight of a large Dense layer, whose gradient is never in memory as a whole.

That gradient (n, k) is a product of two thin matrices: what came back to the layer's output
(b, n), transposed, times its input (b, k). Written by the layer and read again by Adam it takes
as long to move as the weight and the two means together. Here a tile of it is computed, in the
registers, and used while it is in the cache: the same sums as oneDNN's, in the same order, by
fused multiply-adds, so that weights are the same to the bit.

The microkernel is the usual one of matrix products (Goto and van de Geijn, 2008).
"""
import functools

import numpy as np
from llvmlite import binding, ir
from mxnet.ndarray import NDArray
from numba import njit, prange, types
from numba.extending import intrinsic

from training.steps.kernels import FLOATS, adam_on, addresses, floats

_AVX512 = binding.get_host_cpu_features().get('avx512f', False)
LANES = 16 if _AVX512 else 8   # numbers in a register
ROWS = 8 if _AVX512 else 4     # of a tile: with 3 vectors a row, what fits into the registers
VECTORS = 3
COLUMNS = VECTORS * LANES      # of a tile
PANEL = 32 * COLUMNS           # columns whose input stays in the cache
BLOCK = 512                    # rows that a thread takes at a time


@intrinsic
def _product(typing_context, rows, columns, depth, tile):
    """Set a tile (ROWS, PANEL) to the sum over i of rows (depth, ROWS) x columns (depth, COLUMNS).

    All are addresses of float32; only the tile's first COLUMNS are set.
    """
    def generate(context, builder, signature, arguments):
        number, integer = ir.FloatType(), ir.IntType(64)
        vector = ir.VectorType(number, LANES)
        name = f'llvm.fma.v{LANES}f32'
        fma = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(vector, [vector] * 3), name)
        rows, columns, tile = (builder.inttoptr(arguments[i], number.as_pointer())
                               for i in (0, 1, 3))

        def at(pointer, offset):
            return builder.gep(pointer, [offset if isinstance(offset, ir.Value)
                                         else integer(offset)])

        def vector_at(pointer, offset):
            return builder.bitcast(at(pointer, offset), vector.as_pointer())

        before = builder.block
        loop, after = (builder.append_basic_block(name) for name in ('sums', 'sums_done'))
        builder.branch(loop)
        builder.position_at_end(loop)
        i = builder.phi(integer)
        i.add_incoming(integer(0), before)
        sums = [builder.phi(vector) for _ in range(ROWS * VECTORS)]
        row = at(rows, builder.mul(i, integer(ROWS)))
        column = at(columns, builder.mul(i, integer(COLUMNS)))
        values = [builder.load(vector_at(column, v * LANES), align=4) for v in range(VECTORS)]
        new = []
        for r in range(ROWS):
            first = builder.insert_element(ir.Constant(vector, ir.Undefined),
                                           builder.load(at(row, r)), ir.IntType(32)(0))
            factor = builder.shuffle_vector(
                first, first, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))
            new += [builder.call(fma, [factor, values[v], sums[r * VECTORS + v]])
                    for v in range(VECTORS)]
        following = builder.add(i, integer(1))
        i.add_incoming(following, loop)
        for before_it, after_it in zip(sums, new, strict=True):
            before_it.add_incoming(ir.Constant(vector, [0.0] * LANES), before)
            before_it.add_incoming(after_it, loop)
        builder.cbranch(builder.icmp_signed('<', following, arguments[2]), loop, after)
        builder.position_at_end(after)
        for r in range(ROWS):
            for v in range(VECTORS):
                builder.store(new[r * VECTORS + v], vector_at(tile, r * PANEL + v * LANES),
                              align=4)
        return context.get_dummy_value()
    return types.void(*[types.int64] * 4), generate


def adam(weight: NDArray, mean: NDArray, variance: NDArray, x: NDArray, d_output: NDArray,
         lr: float, wd: float, *rest: float) -> None:
    """Do one Adam step on a Dense layer's weight (n, k), in place, on the CPU.

    x (b, k) is the layer's input, d_output (b, n) the loss's gradient of its output. lr, wd and
    the rest are those of `kernels.adam_on`, float32.
    """
    n, k = weight.shape
    _adam(_parts(n, k), *addresses(weight, mean, variance, x, d_output), n, k, len(x), lr, wd,
          *rest)


@functools.cache
def _parts(n: int, k: int) -> np.ndarray:
    """Return the parts of an (n, k) weight: first row and column, number of rows and columns."""
    return np.array([(row, column, min(BLOCK, n - row), min(PANEL, k - column))
                     for column in range(0, k, PANEL) for row in range(0, n, BLOCK)])


@njit(parallel=True, fastmath=FLOATS, cache=True)
def _adam(parts, weight, mean, variance, x, d_output, n, k, depth, lr, wd, beta1, beta2, epsilon,
          rescale, clip):
    for i in prange(len(parts)):
        first_row, first_column, n_rows, n_columns = parts[i]
        n_tiles = (n_columns + COLUMNS - 1) // COLUMNS
        columns = np.zeros((n_tiles, depth, COLUMNS), np.float32)
        rows = np.zeros((depth, ROWS), np.float32)
        gradient = np.empty((ROWS, PANEL), np.float32)
        for b in range(depth):
            values = floats(x, b * k + first_column, n_columns)
            for tile in range(n_tiles):
                for j in range(min(COLUMNS, n_columns - tile * COLUMNS)):
                    columns[tile, b, j] = values[tile * COLUMNS + j]
        for top in range(first_row, first_row + n_rows, ROWS):
            height = min(ROWS, first_row + n_rows - top)
            for b in range(depth):
                values = floats(d_output, b * n + top, height)
                for r in range(height):
                    rows[b, r] = values[r]
            for tile in range(n_tiles):
                _product(rows.ctypes.data, columns[tile].ctypes.data, depth,
                         gradient[:, tile * COLUMNS:].ctypes.data)
            for r in range(height):
                at = (top + r) * k + first_column
                adam_on(floats(weight, at, n_columns), gradient[r, :n_columns],
                        floats(mean, at, n_columns), floats(variance, at, n_columns),
                        lr, wd, beta1, beta2, epsilon, rescale, clip)
