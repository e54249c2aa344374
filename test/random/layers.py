"""Random layers: scores, keys, edits of a top k, experts, and what surrounds them, in all types of rows."""

import struct

from builder import Builder, Tensor, Value, to_bytes, uniform
from experts import KINDS, Range, activation
from scalars import expression

SIZES = [1, 2, 3, 5, 7, 8, 13, 16, 15, 17, 31, 33, 65]
TOKENS = [1, 0, 2, 3, 5, 7, 16, 17, 33, 61]
EXPERTS = [1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 33]

SCORES, EDITS = [], []


def score(function):
    SCORES.append(function)
    return function


def edit(function):
    EDITS.append(function)
    return function


class Layer:
    """One mixture: its sizes, and the routing while it is made."""

    def __init__(self, b, c, name, width, dtype):
        self.b, self.c, self.name, self.width, self.dtype = b, c, name, width, dtype
        self.experts = c.pick("experts", EXPERTS)
        self.choices = min(self.experts, c.pick("top", [1, 2, 3, 4, 6, 8, self.experts]))
        self.type = f"!moe.routing<{self.experts}, top {self.choices}>"

    def routing(self, text):
        name = self.b.fresh()
        self.b.line(f"{name} = {text}")
        return name


# Scores


@score
def logits_as_scores(layer, logits):
    return logits


@score
def softmax(layer, logits):
    return layer.b.softmax(logits)


@score
def sigmoid(layer, logits):
    return layer.b.unary("moe.sigmoid", logits)


@score
def softplus_root(layer, logits):
    positive = layer.b.unary("moe.softplus", logits)
    return layer.b.unary("math.sqrt", positive)


@score
def other_function(layer, logits):
    return expression(layer.b, layer.c.at("score.map"), [logits], logits.dtype)


# Edits: (layer, routing) -> routing


@edit
def by_sum(layer, r):
    form = layer.c.pick("sum", [" at_least 1.0e-3", " plus 1.0e-2", ""])
    return layer.routing(f"moe.normalize {r} by sum{form} : {layer.type}")


@edit
def by_softmax(layer, r):
    return layer.routing(f"moe.normalize {r} by softmax : {layer.type}")


@edit
def by_lp(layer, r):
    p = layer.c.pick("p", ["1.0", "2.0", "3.0"])
    if layer.b.noise is not None:
        r = with_powers_in_f32(layer, r, p)
    return layer.routing(f"moe.normalize {r} by lp {p} : {layer.type}")


def with_powers_in_f32(layer, r, p):
    """Weights whose p-th power is infinite or 0 in f32 become so themselves: the oracle's f64 has room for it."""
    w, n = weights_of(layer, r), layer.b.fresh()[1:]
    layer.b.line(f"""%{n} = moe.map (%a{n} = {w.name}) : ({w.type}) -> {w.type} {{
      %x{n} = arith.extf %a{n} : f32 to f64
      %p{n} = arith.constant {p} : f64
      %l{n} = arith.constant 3.4028234e38 : f64
      %s{n} = arith.constant 1.2e-38 : f64
      %z{n} = arith.constant 0.0 : f64
      %i{n} = arith.constant 0x7FF0000000000000 : f64
      %b{n} = math.absf %x{n} : f64
      %q{n} = math.powf %b{n}, %p{n} : f64
      %c{n} = arith.cmpf ogt, %q{n}, %l{n} : f64
      %d{n} = arith.cmpf olt, %q{n}, %s{n} : f64
      %e{n} = arith.select %d{n}, %z{n}, %x{n} : f64
      %f{n} = arith.select %c{n}, %i{n}, %e{n} : f64
      %y{n} = arith.truncf %f{n} : f64 to f32
      moe.yield %y{n} : f32
    }}""")
    return layer.routing(f"moe.with_weights {r}, %{n} : {layer.type}, {w.type}")


@edit
def by_constant(layer, r):
    return layer.routing(f"moe.scale {r} by {layer.c.pick('constant', ['2.5', '-0.5', '0.0'])} : {layer.type}")


@edit
def by_value(layer, r):
    f = layer.b.fresh()
    layer.b.line(f"{f} = arith.constant 1.25 : f32")
    return layer.routing(f"moe.scale {r} by {f} : {layer.type}, f32")


@edit
def by_expert(layer, r):
    v = layer.b.param(f"{layer.name}.scale", (layer.experts,), "f32")
    return layer.routing(f"moe.scale {r} by {v.name} : {layer.type}, {v.type}")


@edit
def by_arithmetic(layer, r):
    w = weights_of(layer, r)
    v = expression(layer.b, layer.c.at("edit.map"), [w], "f32")
    return layer.routing(f"moe.with_weights {r}, {v.name} : {layer.type}, {v.type}")


def weights_of(layer, r):
    shape = (None, layer.choices)
    # The weights went through scores and edits; their noise is where they are used.
    return layer.b.op(f"moe.weights {r} : {layer.type} -> {Value('', shape, 'f32').type}", shape, "f32", 5e-7)


def settled(layer, r):
    """In the noisy program: the same routing with the noise of its edits in the weights."""
    if layer.b.noise is None:
        return r
    w = weights_of(layer, r)
    return layer.routing(f"moe.with_weights {r}, {w.name} : {layer.type}, {w.type}")


def logits_of(layer, x):
    """Logits by a router, or as an input of their own with rows that are hard to choose from."""
    b, c, n = layer.b, layer.c, layer.width
    if c.chance("logits.given", 20):
        return b.input((None, layer.experts), "f32", hard_rows(b, c, layer))
    dtype = c.pick("router.dtype", ["f32", "bf16"]) if x.dtype == "f32" else c.pick("router.dtype", [x.dtype, "f32"])
    in_out = c.chance("router.in_out", 20)
    shape = (n, layer.experts) if in_out else (layer.experts, n)
    w = b.param(f"{layer.name}.router", shape, dtype, 2.0 * (3.0 / n) ** 0.5)
    bias = b.param(f"{layer.name}.router.bias", (layer.experts,), "f32") if c.chance("router.bias", 25) else None
    out = c.pick("logits.dtype", ["f32", "bf16"], [92, 8])
    return b.linear(x, w, out, bias, in_out)


def hard_rows(b, c, layer):
    n, rows = layer.experts, []
    plain = struct.unpack(f"<{b.tokens * n}f", uniform(f"{b.seed}.{layer.name}.logits", b.tokens * n, 3.0, "f32"))
    inf, nan = float("inf"), float("nan")
    for t in range(b.tokens):
        row = list(plain[t * n:(t + 1) * n])
        form = c.pick(f"row{t}" if t < 8 else "row", ["plain", "equal", "integers", "nan", "all nan", "inf", "-inf", "all -inf",
                                                      "denormal", "huge", "zeros"], [40] + [6] * 10)
        if form == "equal":
            row = [row[0]] * n
        elif form == "integers":
            row = [float(round(v)) for v in row]
        elif form == "nan":
            row[t % n] = nan
        elif form == "all nan":
            row = [nan] * n
        elif form == "inf":
            row[t % n] = inf
        elif form == "-inf":
            row = [-inf if i % 2 else v for i, v in enumerate(row)]
        elif form == "all -inf":
            row = [-inf] * n
        elif form == "denormal":
            row = [v * 1e-41 for v in row]
        elif form == "huge":
            row = [v * 1e30 for v in row]
        elif form == "zeros":
            row = [-0.0 if i % 2 else 0.0 for i in range(n)]
        rows += row
    return Tensor((b.tokens, n), "f32", to_bytes(rows, "f32"))


def route(layer, x):
    b, c = layer.b, layer.c
    logits = logits_of(layer, x)
    weights = c.pick("score", SCORES)(layer, logits)
    key = weights
    by = c.pick("key", ["", "biased", "other"], [70, 18, 12])
    if by == "biased":
        bias = b.param(f"{layer.name}.selection", (layer.experts,), weights.dtype)
        key = b.binary("arith.addf", weights, b.broadcast(bias, weights))
    elif by == "other":
        key = c.pick("key.score", SCORES)(layer, logits)
    b.keys.append((key, layer.choices))
    by = f" by {key.name}" if key is not weights else ""
    r = layer.routing(f"moe.route {weights.name}{by} top {layer.choices} : {weights.type} -> {layer.type}")
    for i in range(c.pick("edits", [0, 1, 2, 3], [25, 45, 20, 10])):
        inner = Layer.__new__(Layer)
        inner.__dict__ |= layer.__dict__ | {"c": c.at(f"edit{i}"), "name": f"{layer.name}.edit{i}"}
        r = settled(inner, c.pick(f"edit{i}", EDITS)(inner, r))
    return r


def read_routing(layer, r):
    b, shape = layer.b, (None, layer.choices)
    if layer.c.chance("indices", 60):
        ids = b.op(f"moe.indices {r} : {layer.type} -> {Value('', shape, 'i32').type}", shape, "i32")
        b.experts_of[b.result(ids, "ids")] = layer.experts
    if layer.c.chance("weights", 40):
        b.result(b.op(f"moe.weights {r} : {layer.type} -> {Value('', shape, 'f32').type}", shape, "f32", 5e-7), "weights")
    if layer.c.chance("counts", 30):
        shape = (layer.experts,)
        b.result(b.op(f"moe.counts {r} : {layer.type} -> {Value('', shape, 'i32').type}", shape, "i32"), "counts")


def dispatch(b, x, r, routing_type, weighted=False):
    return b.op(f"moe.dispatch {x.name} by {r}{' weighted' if weighted else ''} : {x.type}, {routing_type}", x.shape, x.dtype,
                2e-7 if weighted else None)


def combine(b, rows, r, routing_type, weighted, count=8):
    """The error of the sum is proportional to the sum of the absolute rows."""
    text = f"by {r} {'weighted' if weighted else 'unweighted'} : {rows.type}, {routing_type}"
    magnitude = None
    if b.noise is not None:
        absolute = b.op(f"math.absf {rows.name} : {rows.type}", rows.shape, rows.dtype)
        magnitude = b.op(f"moe.combine {absolute.name} {text}", rows.shape, rows.dtype)
    return b.op(f"moe.combine {rows.name} {text}", rows.shape, rows.dtype, (count + 2) * 2.0**-24, magnitude)


def experts(layer, r, rows):
    """moe.expert with one or more ranges; returns its row results and per-expert results."""
    b, c, n = layer.b, layer.c, layer.width
    cuts = sorted({c.pick(f"cut{i}", range(layer.experts)) for i in range(c.pick("ranges", [0, 1, 2], [75, 17, 8]))} - {0})
    bounds = [0] + cuts + [layer.experts]
    hidden = c.pick("hidden", SIZES)
    while layer.experts * hidden * n > 60000 or b.tokens * layer.choices * hidden * n > 600000:
        hidden = max(1, hidden // 2)
    more_rows = c.chance("two results", 12)
    per_expert = c.chance("per expert", 10)
    main, main_indent, regions = b.lines, b.indent, []
    for i, (begin, end) in enumerate(zip(bounds, bounds[1:])):
        own = max(1, hidden // c.pick(f"narrower{i}", [1, 2, 5])) if i else hidden  # kinds of experts have widths of their own
        e = Range(b, c.at(f"range{i}"), f"{layer.name}.range{i}", begin, end - begin, n, layer.dtype, own)
        e.before, e.rows = main, [Value(b.fresh(), v.shape, v.dtype) for v in rows]
        e.arguments = [v.name for v in e.rows]
        b.lines, b.indent = [], "    "
        if len(rows) > 1:
            e.rows[0] = b.binary("arith.addf", e.rows[0], e.rows[1])
        y = e.c.pick("kind", KINDS)(e)
        yields = [y] + ([activation(e, e.rows[0], "second")] if more_rows else [])
        each = [b.reduce_sum(y, 0)] if per_expert else []
        text = ", ".join(v.name for v in yields) + " : " + ", ".join(v.type for v in yields)
        if each:
            text = f"rows({text}) each({each[0].name} : {each[0].type})"
        b.line(f"moe.yield {text}")
        regions.append((e, begin, end, b.lines))
    b.lines, b.indent = main, main_indent
    return write_expert(layer, r, rows, regions, more_rows, per_expert)


def write_expert(layer, r, rows, regions, more_rows, per_expert):
    b = layer.b
    one = len(regions) == 1
    y = [Value(b.fresh(), rows[0].shape, layer.dtype)] + ([Value(b.fresh(), rows[0].shape, layer.dtype)] if more_rows else [])
    each = [Value(b.fresh(), (layer.experts, layer.width), layer.dtype)] if per_expert else []
    results = y + each
    head = ", ".join(v.name for v in results)

    def bound(names, values):
        return ", ".join(f"{n} = {v.name}" for n, v in zip(names, values))

    types = ", ".join(v.type for v in results)
    types = f"({types})" if len(results) > 1 else types
    row_types = [v.type for v in rows]
    first = regions[0][0]
    if one:
        each_text = f" each({bound([v.name for v in first.slices], first.stacks)})" if first.stacks else ""
        all_types = ", ".join(row_types + [v.type for v in first.stacks])
        b.line(f"{head} = moe.expert by {r} rows({bound(first.arguments, rows)}){each_text} : {layer.type}, ({all_types}) -> {types} {{")
        b.lines += regions[0][3] + [b.indent + "}"]
    else:
        b.line(f"{head} = moe.expert by {r} rows({bound(first.arguments, rows)}) : {layer.type}, ({', '.join(row_types)}) -> {types}")
        for e, begin, end, lines in regions:
            names = "" if e is first else f" rows({', '.join(e.arguments)})"
            each_text = ""
            if e.stacks:
                each_text = f" each({bound([v.name for v in e.slices], e.stacks)}) : ({', '.join(v.type for v in e.stacks)})"
            b.line(f"    range {begin} to {end}{names}{each_text} {{")
            b.lines += lines + [b.indent + "}"]
    return y, each


def mixture(b, c, name, x):
    """One layer: routing, experts, combine, and perhaps a shared expert and the residual."""
    layer = Layer(b, c, name, x.shape[-1], x.dtype)
    z = x
    if c.chance("norm", 15):
        w = b.param(f"{name}.norm", (layer.width,), x.dtype)
        z = b.op(f"moe.rms_norm {x.name}, {w.name} eps 1.0e-3 : {x.type}, {w.type}", x.shape, x.dtype, 1e-5)
    r = route(layer, z)
    weighted = c.chance("weighted dispatch", 15)
    rows = [dispatch(b, z, r, layer.type, weighted)]
    if c.chance("two rows", 12):
        extra = b.input((None, layer.width), x.dtype, tokens_of(b, layer.width, x.dtype, name + ".extra"))
        rows.append(dispatch(b, extra, r, layer.type))
    read_routing(layer, r)
    outs, each = experts(layer, r, rows)
    ys = [combine(b, out, r, layer.type, not weighted and not c.chance(f"unweighted{i}", 15), layer.choices) for i, out in enumerate(outs)]
    y = ys[0] if len(ys) == 1 else b.binary("arith.addf", ys[0], ys[1])
    for v in each:
        b.result(v, "each")
    if c.chance("shared", 20):
        y = b.binary("arith.addf", y, shared_expert(layer, z))
    if c.chance("residual", 30):
        y = b.binary("arith.addf", y, x)
    return y


def shared_expert(layer, x):
    b, c, n = layer.b, layer.c.at("shared"), layer.width
    f = c.pick("hidden", SIZES[:12])
    up = [b.param(f"{layer.name}.shared.{i}", (f, n), x.dtype, (3.0 / n) ** 0.5) for i in range(2)]
    down = b.param(f"{layer.name}.shared.down", (n, f), x.dtype, (3.0 / f) ** 0.5)
    gate = b.unary("moe.silu", b.linear(x, up[0], "f32"), 5e-7)
    y = b.linear(b.binary("arith.mulf", gate, b.linear(x, up[1], "f32")), down, x.dtype)
    if not c.chance("gate", 40):
        return y
    w = b.param(f"{layer.name}.shared.gate", (1, n), x.dtype, (3.0 / n) ** 0.5)
    p = b.unary("moe.sigmoid", b.linear(x, w, x.dtype))
    return b.binary("arith.mulf", y, b.broadcast(p, y))


def tokens_of(b, width, dtype, name):
    return Tensor((b.tokens, width), dtype, uniform(f"{b.seed}.{name}", b.tokens * width, 1.7, dtype))


def layers(b, c):
    dtype = c.pick("dtype", ["f32", "bf16", "f16"], [65, 25, 10])
    width = c.pick("width", SIZES)
    x = b.input((None, width), dtype, tokens_of(b, width, dtype, "x"))
    y = mixture(b, c.at("layer0"), "layer0", x)
    if c.chance("two layers", 12):
        y = mixture(b, c.at("layer1"), "layer1", y)
    b.result(y, "rows")
