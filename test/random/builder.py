"""Text of one function of level 1, with its params and inputs; optionally with the rounding noise of a backend in it.

Noise: a backend rounds after every operation, the oracle does not. `Builder(noise=phase)` writes the same function with a
perturbation after every operation, of the size of that operation's worst rounding error and of a sign that depends on the
value (sin(1.2345678e9 v + phase)), so that equal values stay equal. How far the results move is how far a correct backend may
be off (compare.py).
"""

import random
import struct
from array import array
from typing import NamedTuple

# Largest relative error of one rounding to the type, and its largest finite value.
UNIT = {"f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}
LARGEST = {"f32": 3.4028234e38, "f16": 65504.0, "bf16": 3.3895e38}


class Value(NamedTuple):
    name: str
    shape: tuple  # None: T or R
    dtype: str

    @property
    def type(self):
        return type_text(self.shape, self.dtype)


class Number(NamedTuple):
    """An index or another number that is no tensor."""

    name: str
    type: str
    shape: tuple = ()
    dtype: str = "f32"


class Tensor(NamedTuple):
    """What the data file holds."""

    shape: tuple
    dtype: str
    data: bytes


def type_text(shape, dtype):
    return "tensor<" + "".join("?x" if n is None else f"{n}x" for n in shape) + dtype + ">"


def to_bytes(values, dtype):
    """Floats as the type stores them, rounded to nearest even."""
    if dtype == "f16":
        return struct.pack(f"<{len(values)}e", *values)
    if dtype == "i32":
        return array("i", values).tobytes()
    data = array("f", values)
    if dtype == "f32":
        return data.tobytes()
    bits = array("I", data.tobytes())
    return array("H", [(b >> 16) | 1 if b & 0x7FFFFFFF > 0x7F800000 else (b + 0x7FFF + (b >> 16 & 1)) >> 16 for b in bits]).tobytes()


def uniform(seed, count, scale, dtype):
    """Values in -scale ... scale."""
    raw = array("h", random.Random(seed).randbytes(2 * count))
    return to_bytes([v * (scale / 32768.0) for v in raw], dtype)


class Builder:
    def __init__(self, function, seed, noise=None, keys=False):
        self.function, self.seed, self.noise, self.keys_wanted = function, seed, noise, keys
        self.lines, self.helpers, self.arguments = [], [], []
        self.tensors = {}  # name in the data file -> Tensor
        self.results = []  # (Value, role): rows, ids, weights, counts, each
        self.keys = []  # (Value, choices): what each routing chose by
        self.states = []  # experts, tokens and slots of the pairs of each routing
        self.experts_of = {}  # of a result with ids
        self.probabilities = {}  # results of softmax by name, and what they are made of
        self.equal = []  # pairs of results that must agree
        self.permutable = True  # rows of the results follow the rows of the inputs
        self.count, self.indent = 0, "  "

    # Names and text

    def fresh(self):
        self.count += 1
        return f"%v{self.count}"

    def line(self, text):
        self.lines.append(self.indent + text)

    def op(self, text, shape, dtype, error=None, magnitude=None):
        """One operation with one tensor result. `error`: its largest rounding error before rounding to `dtype`, relative
        to the result or to the tensor `magnitude`; None: exact."""
        value = Value(self.fresh(), tuple(shape), dtype)
        self.line(f"{value.name} = {text}")
        return value if error is None or self.noise is None else self.perturbed(value, error, magnitude)

    def perturbed(self, value, error, magnitude=None):
        name, dtype, limit = self.fresh(), value.dtype, LARGEST[value.dtype]
        inputs = [("a", value)] + ([("m", magnitude)] if magnitude else [])
        bound = ", ".join(f"%{n}{name[2:]} = {v.name}" for n, v in inputs)
        types = ", ".join(v.type for _, v in inputs)
        a, n = f"%a{name[2:]}", name[1:]
        self.line(f"{name} = moe.map ({bound}) : ({types}) -> {value.type} {{")
        body = [f"%x{n} = arith.extf {a} : {dtype} to f64"]
        if magnitude:
            body.append(f"%s{n} = arith.extf %m{name[2:]} : {magnitude.dtype} to f64")
        else:
            body.append(f"%s{n} = math.absf %x{n} : f64")
        unit = 0.0 if dtype == "f32" else UNIT[dtype]
        constants = {"k": 1.2345678e9, "p": float(self.noise), "e": error, "u": unit, "l": limit, "i": "0x7FF0000000000000",
                     "z": 0.0, "t": 1.2e-38 if self.noise == 0 else 1.5e-45}
        body += [f"%{c}{n} = arith.constant {v if isinstance(v, str) else format(v, '.17e')} : f64" for c, v in constants.items()]
        body += [
            f"%b{n} = arith.mulf %x{n}, %k{n} : f64",
            f"%c{n} = arith.addf %b{n}, %p{n} : f64",
            f"%d{n} = math.sin %c{n} : f64",
            f"%f{n} = math.absf %x{n} : f64",
            f"%g{n} = arith.mulf %s{n}, %e{n} : f64",
            f"%h{n} = arith.mulf %f{n}, %u{n} : f64",
            f"%j{n} = arith.addf %g{n}, %h{n} : f64",
            f"%o{n} = arith.mulf %d{n}, %j{n} : f64",
            f"%q{n} = arith.addf %x{n}, %o{n} : f64",
            # Too large becomes infinite, too small 0; infinities and NaN stay.
            f"%r{n} = arith.cmpf olt, %f{n}, %i{n} : f64",
            f"%w{n} = arith.select %r{n}, %q{n}, %x{n} : f64",
            f"%y{n} = math.absf %w{n} : f64",
            f"%aa{n} = arith.cmpf ogt, %y{n}, %l{n} : f64",
            f"%bb{n} = math.copysign %i{n}, %w{n} : f64",
            f"%cc{n} = arith.select %aa{n}, %bb{n}, %w{n} : f64",
            f"%dd{n} = arith.cmpf olt, %y{n}, %t{n} : f64",
            f"%ee{n} = arith.select %dd{n}, %z{n}, %cc{n} : f64",
            f"%ff{n} = arith.truncf %ee{n} : f64 to {dtype}",
            f"moe.yield %ff{n} : {dtype}",
        ]
        for text in body:
            self.line("  " + text)
        self.line("}")
        return Value(name, value.shape, dtype)

    # Arguments

    def input(self, shape, dtype, data):
        """An input; `shape` has None for T, `data(shape)` is given T instead."""
        name = f"{self.function}.in{len(self.arguments)}"
        value = Value(f"%in{len(self.arguments)}", tuple(shape), dtype)
        self.arguments.append(value)
        self.tensors[name] = data
        return value

    def number(self, kind, data):
        """An input that is a number."""
        self.tensors[f"{self.function}.in{len(self.arguments)}"] = data
        self.arguments.append(Number(f"%in{len(self.arguments)}", kind))
        return self.arguments[-1]

    def param(self, name, shape, dtype, scale=1.0, stacked=None, copy=None):
        """A param. `stacked`: the first index of {expert}, stored as one tensor for each slice of dimension 0. `copy`: (name,
        order), the slices of dimension 0 of another param in another order."""
        text = f"{self.function}.{name}"
        value = Value(self.fresh(), tuple(shape), dtype)
        size = 1
        for n in shape[1:]:
            size *= n
        if copy:
            source, order = copy
            slices = [self.slices[source][i] for i in order]
        else:
            width = size * (2 if dtype != "f32" else 4)
            data = uniform(f"{self.seed}.{name}", size * shape[0], scale, dtype)
            slices = [data[i * width:(i + 1) * width] for i in range(shape[0])]
        self.__dict__.setdefault("slices", {})[name] = slices
        if stacked is None:
            self.tensors[text] = Tensor(tuple(shape), dtype, b"".join(slices))
        else:
            for i, data in enumerate(slices):
                self.tensors[f"{text}.{i + stacked}"] = Tensor(tuple(shape[1:]), dtype, data)
            text += ".{expert}" if stacked == 0 else f".{{expert:{stacked}}}"
        self.line(f'{value.name} = moe.param %m "{text}" : {value.type}')
        return value

    # Operations with their rounding errors

    def linear(self, x, w, dtype, bias=None, in_out=False):
        n, out = (w.shape[0], w.shape[1]) if in_out else (w.shape[1], w.shape[0])
        shape = x.shape[:-1] + (out,)
        magnitude = None
        if self.noise is not None:
            # |x| |w| + |b|: what the error of a sum in any order is proportional to
            absolute = [self.op(f"math.absf {v.name} : {v.type}", v.shape, v.dtype) for v in (x, w, bias) if v]
            magnitude = self.op(self.linear_text(absolute, shape, "f32", in_out), shape, "f32")
        operands = [v for v in (x, w, bias) if v]
        return self.op(self.linear_text(operands, shape, dtype, in_out), shape, dtype, (n + 2) * UNIT["f32"], magnitude)

    def linear_text(self, operands, shape, dtype, in_out):
        names, types = ", ".join(v.name for v in operands), ", ".join(v.type for v in operands)
        return f"moe.linear {names}{' in_out' if in_out else ''} : ({types}) -> {type_text(shape, dtype)}"

    def unary(self, name, x, error=5e-7, suffix=""):
        return self.op(f"{name} {x.name}{suffix} : {x.type}", x.shape, x.dtype, error)

    def binary(self, name, x, y, error=UNIT["f32"]):
        return self.op(f"{name} {x.name}, {y.name} : {x.type}", x.shape, x.dtype, error)

    def softmax(self, x, dimension=None):
        over = "" if dimension is None else f" over {dimension}"
        value = self.op(f"moe.softmax {x.name}{over} : {x.type}", x.shape, x.dtype, 3e-6)
        self.probabilities[value.name] = x
        return value

    def broadcast(self, x, like):
        return self.op(f"moe.broadcast {x.name} like {like.name} : {x.type}, {like.type}", like.shape, x.dtype)

    def reduce_sum(self, x, dimension, length=64):
        shape = x.shape[:dimension] + x.shape[dimension + 1:]
        magnitude = None
        if self.noise is not None:
            absolute = self.op(f"math.absf {x.name} : {x.type}", x.shape, x.dtype)
            magnitude = self.op(f"moe.reduce sum {absolute.name} over {dimension} : {x.type} -> {type_text(shape, x.dtype)}", shape, x.dtype)
        text = f"moe.reduce sum {x.name} over {dimension} : {x.type} -> {type_text(shape, x.dtype)}"
        return self.op(text, shape, x.dtype, length * UNIT["f32"], magnitude)

    def ones_like(self, x):
        n = self.fresh()[1:]
        self.line(f"%{n} = moe.map (%a{n} = {x.name}) : ({x.type}) -> {x.type} {{")
        self.line(f"  %c{n} = arith.constant 1.0 : {x.dtype}")
        self.line(f"  moe.yield %c{n} : {x.dtype}")
        self.line("}")
        return Value(f"%{n}", x.shape, x.dtype)

    def state(self, r):
        """Notes which pairs a routing has."""
        names, i = [f"%s{len(self.states)}_{j}" for j in range(4)], "tensor<?xi32>"
        self.states += [Value(name, (None,), "i32") for name in names[:3]]
        if self.keys_wanted:
            self.line(f"{', '.join(names)} = moe.pairs {r.name} : {r.type} -> {i}, {i}, {i}, tensor<?xf32>")

    def convert(self, x, dtype):
        if x.dtype == dtype:
            return x
        if "f32" not in (x.dtype, dtype):
            return self.convert(self.convert(x, "f32"), dtype)
        target = type_text(x.shape, dtype)
        if dtype == "f32":
            return self.op(f"arith.extf {x.name} : {x.type} to {target}", x.shape, dtype)
        return self.op(f"arith.truncf {x.name} : {x.type} to {target}", x.shape, dtype, 0.0)

    # The whole

    def result(self, value, role):
        self.results.append((value, role))
        return len(self.results) - 1

    @property
    def notes(self):
        """Results besides those of the program: keys, states, and the logits of keys that are probabilities."""
        return [v for v, _ in self.keys] + self.states + [self.probabilities[v.name] for v, _ in self.keys if v.name in self.probabilities]

    def text(self):
        results = [v for v, _ in self.results] + (self.notes if self.keys_wanted else [])
        types = ", ".join(v.type for v in results)
        arguments = ", ".join(f"{v.name}: {v.type}" for v in self.arguments)
        head = f"func.func @{self.function}({arguments}{', ' if arguments else ''}%m: !moe.scope) -> ({types}) {{"
        tail = [f"  return {', '.join(v.name for v in results)} : {types}", "}", ""]
        return "\n".join(self.helpers + [head] + self.lines + tail)
