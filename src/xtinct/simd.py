"""Vectors of 64 bytes as values of compiled code, where the compiler's own vectorisation falls short.

A kernel that keeps its sums in registers over an inner loop is several times faster than one that
LLVM vectorises loop by loop. LLVM splits the vectors on machines with narrower registers, so the
result is the same everywhere. Indices are not checked, and arrays must be C-contiguous.
"""

from llvmlite import ir
from numba.core import types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model


class Vector(types.Type):
    """16 float32 or 8 float64."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.lanes = 512 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}x{self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        element = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


def _pointer(context, builder, array_type, array, index, vector):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _all_lanes(builder, vector, value):
    undefined, word = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    one = builder.insert_element(undefined, value, word(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(word, vector.count), None))


@intrinsic
def zeros(typing, array):
    """Vector of zeros of the type of `array`."""
    kind = Vector(array.dtype)

    def generate(context, builder, signature, args):
        return ir.Constant(context.get_value_type(kind), None)

    return kind(array), generate


@intrinsic
def load(typing, array, index):
    """Vector of the elements of `array` from flat index `index` on."""
    kind = Vector(array.dtype)

    def generate(context, builder, signature, args):
        vector = context.get_value_type(kind)
        pointer = _pointer(context, builder, array, args[0], args[1], vector)
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return kind(array, types.intp), generate


@intrinsic
def store(typing, array, index, value):
    """Write a vector to `array` from flat index `index` on."""

    def generate(context, builder, signature, args):
        pointer = _pointer(context, builder, array, args[0], args[1], args[2].type)
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def stream(typing, array, index, value):
    """Write a vector past the caches; the address must be a multiple of 64.

    Memory that is written whole need not be read first, which halves the traffic.
    """

    def generate(context, builder, signature, args):
        pointer = _pointer(context, builder, array, args[0], args[1], args[2].type)
        written = builder.store(args[2], pointer, align=64)
        hint = builder.module.add_metadata([ir.IntType(32)(1)])
        written.set_metadata("nontemporal", hint)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def scaled(typing, value, factor):
    """Vector times a number."""

    def generate(context, builder, signature, args):
        return builder.fmul(args[0], _all_lanes(builder, args[0].type, args[1]))

    return value(value, value.dtype), generate


@intrinsic
def add_scaled(typing, total, factor, value):
    """Vector total + factor x value."""

    def generate(context, builder, signature, args):
        product = builder.fmul(_all_lanes(builder, args[0].type, args[1]), args[2], flags=["contract"])
        return builder.fadd(args[0], product, flags=["contract"])

    return total(total, total.dtype, value), generate


@intrinsic
def larger(typing, a, b):
    """The larger of two vectors, lane by lane."""

    def generate(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return a(a, b), generate


@intrinsic
def filled(typing, array, value):
    """Vector of one number in all lanes, of the type of `array`."""
    kind = Vector(array.dtype)

    def generate(context, builder, signature, args):
        return _all_lanes(builder, context.get_value_type(kind), args[1])

    return kind(array, array.dtype), generate


@intrinsic
def product(typing, a, b):
    """Product of two vectors, lane by lane."""

    def generate(context, builder, signature, args):
        return builder.fmul(args[0], args[1])

    return a(a, b), generate


@intrinsic
def add_product(typing, total, a, b):
    """Vector total + a x b of three vectors."""

    def generate(context, builder, signature, args):
        return builder.fadd(args[0], builder.fmul(args[1], args[2], flags=["contract"]), flags=["contract"])

    return total(total, a, b), generate


@intrinsic
def largest_lane(typing, value):
    """The largest number of a vector."""

    def generate(context, builder, signature, args):
        vector, word = args[0], ir.IntType(32)
        largest = builder.extract_element(vector, word(0))
        for lane in range(1, vector.type.count):
            other = builder.extract_element(vector, word(lane))
            largest = builder.select(builder.fcmp_ordered(">", other, largest), other, largest)
        return largest

    return value.dtype(value), generate
