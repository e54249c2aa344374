"""Scalar expressions for moe.map: one generator function an operation. All are continuous, so that rounding cannot make a
small difference large.
"""

from builder import LARGEST, UNIT, Value

UNARY, BINARY = [], []


def unary(function):
    UNARY.append(function)
    return function


def binary(function):
    BINARY.append(function)
    return function


class Scalars:
    """Writes the region; `names` stay unique over the function."""

    def __init__(self, builder, dtype):
        self.b, self.dtype = builder, dtype

    def op(self, text, error=5e-7):
        name = self.b.fresh()
        self.b.line(f"  {name} = {text} : {self.dtype}")
        return name if self.b.noise is None or not error else self.perturbed(name, error)

    def perturbed(self, x, error):
        b, dtype, n = self.b, self.dtype, self.b.fresh()[1:]
        # Too large becomes infinite, too small 0; infinities and NaN stay.
        small = 1.2e-38 if b.noise == 0 else 1.5e-45
        constants = {"k": "1.2345678e9", "p": f"{b.noise:.3f}", "u": f"{error + (UNIT[dtype] if dtype != 'f32' else 0):.3e}",
                     "i": "0x7FF0000000000000", "l": f"{LARGEST[dtype]:.9e}", "t": f"{small:.9e}", "z": "0.0"}
        b.line(f"  %x{n} = arith.extf {x} : {dtype} to f64")
        for letter, value in constants.items():
            b.line(f"  %{letter}{n} = arith.constant {value} : f64")
        for text in (f"%a{n} = arith.mulf %x{n}, %k{n} : f64", f"%b{n} = arith.addf %a{n}, %p{n} : f64", f"%s{n} = math.sin %b{n} : f64",
                     f"%c{n} = arith.mulf %s{n}, %u{n} : f64", f"%d{n} = arith.mulf %c{n}, %x{n} : f64",
                     f"%e{n} = arith.addf %x{n}, %d{n} : f64", f"%g{n} = math.absf %x{n} : f64",
                     f"%h{n} = arith.cmpf olt, %g{n}, %i{n} : f64", f"%j{n} = arith.select %h{n}, %e{n}, %x{n} : f64",
                     f"%m{n} = arith.cmpf ogt, %g{n}, %l{n} : f64", f"%o{n} = math.copysign %i{n}, %x{n} : f64",
                     f"%q{n} = arith.select %m{n}, %o{n}, %j{n} : f64", f"%r{n} = arith.cmpf olt, %g{n}, %t{n} : f64",
                     f"%f{n} = arith.select %r{n}, %z{n}, %q{n} : f64", f"%y{n} = arith.truncf %f{n} : f64 to {dtype}"):
            b.line("  " + text)
        return f"%y{n}"

    def constant(self, value):
        name = self.b.fresh()
        self.b.line(f"  {name} = arith.constant {value:.6e} : {self.dtype}")
        return name

    def call(self, name, *operands, error=5e-7):
        return self.op(f"{name} {', '.join(operands)}", error)


@unary
def negate(s, x):
    return s.call("arith.negf", x, error=0.0)


@unary
def absolute(s, x):
    return s.call("math.absf", x, error=0.0)


@unary
def clamp(s, x):
    return s.call("arith.maximumf", s.call("arith.minimumf", x, s.constant(0.75), error=0.0), s.constant(-0.5), error=0.0)


@unary
def affine(s, x):
    return s.call("arith.addf", s.call("arith.mulf", x, s.constant(1.702)), s.constant(-0.3))


@unary
def tanh(s, x):
    return s.call("math.tanh", x)


@unary
def exp(s, x):
    return s.call("math.exp", s.call("arith.minimumf", x, s.constant(2.0), error=0.0))


@unary
def exp2(s, x):
    return s.call("math.exp2", s.call("arith.minimumf", x, s.constant(2.0), error=0.0))


@unary
def log1p(s, x):
    return s.call("math.log1p", s.call("math.absf", x, error=0.0))


@unary
def log(s, x):
    return s.call("math.log", s.call("arith.addf", s.call("math.absf", x, error=0.0), s.constant(1.5)))


@unary
def root(s, x):
    return s.call("math.sqrt", s.call("arith.addf", s.call("arith.mulf", x, x), s.constant(0.25)))


@unary
def reciprocal_root(s, x):
    return s.call("math.rsqrt", s.call("arith.addf", s.call("arith.mulf", x, x), s.constant(0.25)))


@unary
def erf(s, x):
    return s.call("math.erf", x)


@unary
def expm1(s, x):
    return s.call("math.expm1", s.call("arith.minimumf", x, s.constant(2.0), error=0.0))


@unary
def sigmoid(s, x):
    return s.call("moe.sigmoid", x)


@unary
def silu(s, x):
    return s.call("moe.silu", x)


@unary
def gelu(s, x):
    return s.op(f"moe.gelu {x} tanh", 2e-6)


@unary
def softplus(s, x):
    return s.call("moe.softplus", x)


@unary
def relu2(s, x):
    return s.call("moe.relu2", x)


@unary
def leaky(s, x):
    zero, slope = s.constant(0.0), s.call("arith.mulf", x, s.constant(0.1))
    test, result = s.b.fresh(), s.b.fresh()
    s.b.line(f"  {test} = arith.cmpf ogt, {x}, {zero} : {s.dtype}")
    s.b.line(f"  {result} = arith.select {test}, {x}, {slope} : {s.dtype}")
    return result


@binary
def product(s, x, y):
    return s.call("arith.mulf", x, y)


@binary
def add(s, x, y):
    return s.call("arith.addf", x, y)


@binary
def subtract(s, x, y):
    return s.call("arith.subf", x, y)


@binary
def minimum(s, x, y):
    return s.call("arith.minimumf", x, y, error=0.0)


@binary
def maximum(s, x, y):
    return s.call("arith.maximumf", x, y, error=0.0)


@binary
def divide(s, x, y):
    return s.call("arith.divf", x, s.call("arith.addf", s.call("math.absf", y, error=0.0), s.constant(1.0)))


@binary
def fused(s, x, y):
    return s.op(f"math.fma {x}, {y}, {x}", 1e-7)


def expression(b, c, values, dtype):
    """A moe.map over tensors of one shape and element type `dtype`, with up to 5 operations."""
    name = b.fresh()
    names = [f"%a{name[2:]}_{i}" for i in range(len(values))]
    bound = ", ".join(f"{n} = {v.name}" for n, v in zip(names, values))
    result = Value(name, values[0].shape, dtype)
    b.line(f"{name} = moe.map ({bound}) : ({', '.join(v.type for v in values)}) -> {result.type} {{")
    s = Scalars(b, dtype)
    while len(names) > 1:
        names[:2] = [c.pick(f"join{len(names)}", BINARY)(s, names[0], names[1])]
    x = names[0]
    for i in range(c.pick("length", [0, 1, 2, 3])):
        if c.chance(f"use{i}", 30):
            x = c.pick(f"two{i}", BINARY)(s, x, c.pick(f"one{i}", UNARY)(s, x))
        else:
            x = c.pick(f"one{i}", UNARY)(s, x)
    b.line(f"  moe.yield {x} : {dtype}")
    b.line("}")
    return result
