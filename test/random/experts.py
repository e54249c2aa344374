"""Kinds of experts and layouts of their weights: one generator function each.

A kind is a function kind(e) that writes the region of one range and returns the rows it yields; `e` (Range) holds the rows
that the region gets and makes per-expert tensors. A layout makes a stack of [out, in] weights from what a checkpoint stores.
"""

from builder import Value
from scalars import expression

KINDS, LAYOUTS = [], []


def kind(function):
    KINDS.append(function)
    return function


def layout(function):
    LAYOUTS.append(function)
    return function


class Range:
    """One range of experts while its region is written. Params come before the region: `each` declares one and returns
    what the region calls its slice."""

    def __init__(self, b, c, name, begin, size, width, dtype, hidden):
        self.b, self.c, self.name, self.begin, self.size = b, c, name, begin, size
        self.width, self.dtype, self.hidden = width, dtype, hidden
        self.rows, self.stacks, self.slices = [], [], []
        self.arguments = []  # what the region calls its rows

    def each(self, value):
        slice_value = Value(self.b.fresh(), value.shape[1:], value.dtype)
        self.stacks.append(value)
        self.slices.append(slice_value)
        return slice_value

    def outside(self, make):
        """Runs `make` where params are declared and not in the region."""
        region, self.b.lines, indent = self.b.lines, self.before, self.b.indent
        self.b.indent = "  "
        value = make()
        self.b.lines, self.b.indent = region, indent
        return value

    def param(self, name, shape, dtype, scale, permute=True):
        stored = self.begin if self.c.chance(name + ".stacked", 40) else None
        return self.b.param(f"{self.name}.{name}", shape, dtype, scale, stored)

    def weight(self, name, out, n):
        """A slice of [out, in] weights as (value, in_out)."""
        dtype = self.c.pick(name + ".dtype", ["f32", "bf16", "f16"], [50, 35, 15]) if self.dtype == "f32" else self.dtype
        make = self.c.pick(name + ".layout", LAYOUTS[:-2])
        value, in_out = self.outside(lambda: make(self, name, out, n, dtype))
        return self.each(value), in_out

    def bias(self, name, n, percent=30):
        if not self.c.chance(name, percent):
            return None
        dtype = self.dtype if self.dtype != "f32" else "f32"
        return self.each(self.outside(lambda: self.param(name, (self.size, n), dtype, 0.5)))

    def linear(self, x, name, out, dtype="f32"):
        weight, in_out = self.weight(name, out, x.shape[-1])
        return self.b.linear(x, weight, dtype, self.bias(name + ".bias", out), in_out)

    def scale(self, n):
        return (3.0 / n) ** 0.5


# Layouts: (range, name, out, in, dtype) -> (stack, in_out)


@layout
def plain(e, name, out, n, dtype):
    return e.param(name, (e.size, out, n), dtype, e.scale(n)), False


@layout
def input_major(e, name, out, n, dtype):
    return e.param(name, (e.size, n, out), dtype, e.scale(n)), True


@layout
def along_rows(e, name, out, n, dtype):
    """Experts below each other: [experts * out, in]."""
    w = e.b.param(f"{e.name}.{name}", (e.size * out, n), dtype, e.scale(n))
    shape = (e.size, out, n)
    target = Value("", shape, dtype).type
    return e.b.op(f"tensor.expand_shape {w.name} [[0, 1], [2]] output_shape [{e.size}, {out}, {n}] : {w.type} into {target}", shape, dtype), False


@layout
def transposed(e, name, out, n, dtype):
    w = e.param(name, (e.size, n, out), dtype, e.scale(n))
    shape = (e.size, out, n)
    empty = e.b.op(f"tensor.empty() : {Value('', shape, dtype).type}", shape, dtype)
    return e.b.op(f"linalg.transpose ins({w.name} : {w.type}) outs({empty.name} : {empty.type}) permutation = [0, 2, 1]", shape, dtype), False


@layout
def converted(e, name, out, n, dtype):
    """Stored narrow, used wide."""
    if dtype != "f32":
        return plain(e, name, out, n, dtype)
    return e.b.convert(e.param(name, (e.size, out, n), "bf16", e.scale(n)), "f32"), False


@layout
def halves(e, name, out, n, dtype):
    w = e.param(name, (e.size, 2 * out, n), dtype, e.scale(n))
    return [slice_of(e, w, [0, i * out, 0], [e.size, out, n], [1, 1, 1]) for i in range(2)], False


@layout
def interleaved(e, name, out, n, dtype):
    w = e.param(name, (e.size, n, 2 * out), dtype, e.scale(n))
    return [slice_of(e, w, [0, 0, i], [e.size, n, out], [1, 1, 2]) for i in range(2)], True


def slice_of(e, w, offsets, sizes, strides):
    text = f"tensor.extract_slice {w.name}{offsets} {sizes} {strides} : {w.type} to {Value('', tuple(sizes), w.dtype).type}"
    return e.b.op(text, sizes, w.dtype)


def activation(e, x, name="act"):
    names = ["moe.silu", "moe.gelu exact", "moe.gelu tanh", "moe.relu2", "moe.sigmoid", "moe.softplus", "math.tanh", "map"]
    chosen = e.c.pick(name, names)
    if chosen == "map":
        return expression(e.b, e.c.at(name), [x], x.dtype)
    op, _, form = chosen.partition(" ")
    return e.b.unary(op, x, 2e-6, " " + form if form else "")


def narrowed(e, h, name="mid"):
    """What many models do between two linears."""
    if e.dtype != "f32" and e.c.chance(name, 60):
        return e.b.convert(h, e.dtype)
    return h


# Kinds


@kind
def identity(e):
    return e.rows[0]


@kind
def gated(e):
    x = e.rows[0]
    f = e.hidden
    if e.c.chance("together", 40):
        make = e.c.pick("layout", LAYOUTS[-2:])
        dtype = e.c.pick("gu.dtype", ["f32", "bf16"]) if e.dtype == "f32" else e.dtype
        stacks, in_out = e.outside(lambda: make(e, "gu", f, e.width, dtype))
        gate, up = (e.b.linear(x, e.each(stack), "f32", e.bias(f"gu{i}.bias", f), in_out) for i, stack in enumerate(stacks))
    else:
        gate, up = e.linear(x, "gate", f), e.linear(x, "up", f)
    if e.c.chance("expression", 25):
        h = expression(e.b, e.c.at("both"), [gate, up], "f32")
    else:
        h = e.b.binary("arith.mulf", activation(e, gate), up)
    return e.linear(narrowed(e, h), "down", e.width, e.dtype)


@kind
def ungated(e):
    h = activation(e, e.linear(e.rows[0], "up", e.hidden))
    return e.linear(narrowed(e, h), "down", e.width, e.dtype)


@kind
def single(e):
    return e.linear(e.rows[0], "w", e.width, e.dtype)


@kind
def zero(e):
    x, name = e.rows[0], e.b.fresh()
    e.b.line(f"{name} = moe.map (%a{name[2:]} = {x.name}) : ({x.type}) -> {x.type} {{")
    e.b.line(f"  %z{name[2:]} = arith.constant 0.0 : {x.dtype}")
    e.b.line(f"  moe.yield %z{name[2:]} : {x.dtype}")
    e.b.line("}")
    return Value(name, x.shape, x.dtype)


@kind
def constant(e):
    row = e.each(e.outside(lambda: e.param("row", (e.size, e.width), e.dtype, 1.0)))
    return e.b.broadcast(row, e.rows[0])


@kind
def shared_weight(e):
    """One weight for all experts of the range, and a vector of each."""
    w = e.outside(lambda: e.b.param(f"{e.name}.shared", (e.width, e.width), e.dtype, e.scale(e.width)))
    y = e.b.linear(e.rows[0], w, e.dtype)
    row = e.each(e.outside(lambda: e.param("row", (e.size, e.width), e.dtype, 1.0)))
    return e.b.binary(e.c.pick("with", ["arith.addf", "arith.mulf"]), y, e.b.broadcast(row, y))


@kind
def mapped(e):
    values = [e.rows[0]]
    if e.c.chance("vector", 50):
        values.append(e.b.broadcast(e.each(e.outside(lambda: e.param("row", (e.size, e.width), e.dtype, 1.0))), values[0]))
    return expression(e.b, e.c.at("map"), values, e.dtype)


@kind
def normed(e):
    row = e.each(e.outside(lambda: e.param("norm", (e.size, e.width), e.c.pick("norm.dtype", [e.dtype, "f32"]), 1.0)))
    x = e.rows[0]
    y = e.b.op(f"moe.rms_norm {x.name}, {row.name} eps 1.0e-2 : {x.type}, {row.type}", x.shape, x.dtype, 1e-5)
    return e.linear(y, "w", e.width, e.dtype)


@kind
def mean_of_rows(e):
    """Mixes rows: each row plus the sum of all rows of the expert."""
    e.b.permutable = False
    x = e.rows[0]
    y = e.b.binary("arith.addf", x, e.b.broadcast(e.b.reduce_sum(x, 0), x))
    return e.linear(y, "w", e.width, e.dtype)


@kind
def softmax_of_rows(e):
    e.b.permutable = False
    x = e.linear(e.rows[0], "w", e.width, e.dtype)
    return e.b.binary("arith.mulf", x, e.b.softmax(x, 0))


@kind
def latent(e):
    """Down, an expert in fewer dimensions, up."""
    small = max(1, e.width // 2)
    z = e.linear(e.rows[0], "in", small)
    h = activation(e, e.linear(z, "mid", e.hidden))
    return e.linear(narrowed(e, h), "out", e.width, e.dtype)
