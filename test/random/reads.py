"""What a random program returns of a routing: its pairs, sums, losses, and rows that went through experts."""

from builder import Number, Value
from edits import edited
from layers import Layer, combine, dispatch, experts, shared_expert
from routers import Router, make_logits, select

READS, LOSSES = [], []


def read(function):
    READS.append(function)
    return function


def loss(function):
    LOSSES.append(function)
    return function


# Reads: (router, routing)


@read
def matrix(m, r):
    shape = (None, m.experts)
    m.b.result(m.b.op(f"moe.to_matrix {r.name} : {r.type} -> {Value('', shape, 'f32').type}", shape, "f32", 5e-7), "weights")


@read
def indices(m, r):
    if r.slots:
        shape = (None, r.slots)
        ids = m.b.op(f"moe.indices {r.name} : {r.type} -> {Value('', shape, 'i32').type}", shape, "i32")
        m.b.experts_of[m.b.result(ids, "slots")] = m.experts


@read
def weights(m, r):
    if r.slots:
        shape = (None, r.slots)
        m.b.result(m.b.op(f"moe.weights {r.name} : {r.type} -> {Value('', shape, 'f32').type}", shape, "f32", 5e-7), "weights")


@read
def counts(m, r):
    shape = (m.experts,)
    m.b.result(m.b.op(f"moe.counts {r.name} : {r.type} -> {Value('', shape, 'i32').type}", shape, "i32"), "counts")


@read
def importance(m, r):
    m.b.result(importance_of(m, r), "number")


def importance_of(m, r):
    """The error of a sum is proportional to the sum of the absolute weights."""
    b, shape = m.b, (m.experts,)
    text = f"moe.importance {r.name} : {r.type} -> {Value('', shape, 'f32').type}"
    magnitude = None
    if b.noise is not None:
        g = b.op(f"moe.to_matrix {r.name} : {r.type} -> tensor<?x{m.experts}xf32>", (None, m.experts), "f32")
        magnitude = b.reduce_sum(b.op(f"math.absf {g.name} : {g.type}", g.shape, "f32"), 0)
    return b.op(text, shape, "f32", (b.tokens + 2) * 2.0**-24, magnitude)


@read
def pairs(m, r):
    """Sums over the pairs: an entry cannot return as many rows as there are pairs."""
    b, names = m.b, pairs_of(m, r)
    for i, name in enumerate(names[:3]):
        n = b.fresh()[1:]
        b.line(f"%{n} = moe.map (%a{n} = {name}) : (tensor<?xi32>) -> tensor<?xf32> {{")
        b.line(f"  %f{n} = arith.sitofp %a{n} : i32 to f32")
        b.line(f"  moe.yield %f{n} : f32")
        b.line("}")
        b.result(b.op(f"moe.reduce sum %{n} over 0 : tensor<?xf32> -> tensor<f32>", (), "f32"), "counts")
    w = Value(names[3], (None,), "f32")
    w = w if b.noise is None else b.perturbed(w, 5e-7)
    b.result(b.reduce_sum(w, 0, b.tokens * m.experts + 2), "number")


def pairs_of(m, r):
    names, i = [m.b.fresh() for _ in range(4)], "tensor<?xi32>"
    m.b.line(f"{', '.join(names)} = moe.pairs {r.name} : {r.type} -> {i}, {i}, {i}, tensor<?xf32>")
    return names


@read
def tokens(m, r):
    name, like = m.b.fresh(), m.logits
    m.b.line(f"{name} = moe.tokens {like.name} : {like.type}")
    m.b.result(Number(name, "index"), "counts")


@read
def segment_size(m, r):
    s = m.segments()
    m.b.result(m.b.op(f"moe.segment_size {s.name} : {s.type}", s.shape, "i32"), "counts")


# Losses: (router, routing, scores, logits)


@loss
def balance(m, r, w, l):
    counting = m.c.pick("counting", ["all", "first"]) if r.slots else "all"
    scale = m.c.pick("balance", ["choices", "one"]) if r.slots else "choices"
    s = m.segments() if m.batch and m.c.chance("loss.segments", 30) else None
    text = f"moe.balance_loss {w.name} of {r.name} counting {counting} scale {scale}{f' segments {s.name}' if s else ''}"
    magnitude = None
    types = f"{w.type}, {r.type}{f', {s.type}' if s else ''}"
    if m.b.noise is not None:
        a = m.b.op(f"math.absf {w.name} : {w.type}", w.shape, "f32")
        magnitude = m.b.op(f"{text.replace(w.name + ' of', a.name + ' of')} : {types}", (), "f32")
    m.b.result(m.b.op(f"{text} : {types}", (), "f32", (m.b.tokens + 8) * 2.0**-24, magnitude), "number")


@loss
def z(m, r, w, l):
    if m.hard:  # squares that f32 has no room for
        return balance(m, r, w, l)
    l = l if m.b.noise is None else m.b.perturbed(l, 1e-6)
    m.b.result(m.b.op(f"moe.z_loss {l.name} : {l.type}", (), "f32", (m.b.tokens + 8) * 2.0**-24), "number")


@loss
def variation(m, r, w, l):
    if m.hard:
        return balance(m, r, w, l)
    v = importance_of(m, r)
    m.b.result(m.b.op(f"moe.cv_squared {v.name} plus 1.0e-2 : {v.type}", (), "f32", 4e-6), "number")


@loss
def noisy_load(m, r, w, l):
    if m.hard or m.grid:
        return balance(m, r, w, l)
    b, k = m.b, min(m.experts, m.c.pick("load.top", [1, 2, 3]))
    noise = m.by_token("load", (m.experts,))
    noisy = b.binary("arith.addf", l, noise)
    n = b.fresh()[1:]
    b.line(f"%{n} = moe.map (%a{n} = {noise.name}) : ({noise.type}) -> {noise.type} {{")
    for t in (f"%c{n} = arith.constant 0.5 : f32", f"%b{n} = math.absf %a{n} : f32", f"%y{n} = arith.addf %b{n}, %c{n} : f32",
              f"moe.yield %y{n} : f32"):
        b.line("  " + t)
    b.line("}")
    clean, most = l if b.noise is None else b.perturbed(l, 1e-6), None
    if b.noise is not None:  # 1 + erf has an absolute error, where the sum is next to nothing too
        most = b.op(f"arith.constant dense<{float(b.tokens)}> : tensor<{m.experts}xf32>", (m.experts,), "f32")
    b.result(b.op(f"moe.noisy_load {clean.name}, {noisy.name}, %{n} top {k} : {l.type} -> tensor<{m.experts}xf32>", (m.experts,), "f32",
                  (b.tokens + 8) * 2.0**-24, most), "number")


# Rows


def through_experts(m, r):
    b, c = m.b, m.c
    layer = Layer.__new__(Layer)
    layer.__dict__ |= {"b": b, "c": c.at("experts"), "name": m.name, "width": m.width, "dtype": "f32", "experts": m.experts,
                       "choices": r.slots or m.experts, "type": r.type}
    x = m.x
    weighted = c.chance("weighted dispatch", 15)
    if not weighted and c.chance("gather", 15):
        token = pairs_of(m, r)[1]
        rows = b.op(f"moe.gather {x.name} at {token} : {x.type}, tensor<?xi32> -> {x.type}", x.shape, "f32")
    else:
        rows = dispatch(b, x, r.name, r.type, weighted)
    if c.chance("rows only", 40):
        y = combine(b, rows, r.name, r.type, not weighted, layer.choices)
    else:
        outs, each = experts(layer, r.name, [rows])
        for v in each:
            b.result(v, "each")
        y = combine(b, outs[0], r.name, r.type, not weighted and not c.chance("unweighted", 15), layer.choices)
    if c.chance("shared", 12):
        y = b.binary("arith.addf", y, shared_expert(layer, x))
    if c.chance("residual", 20):
        y = b.binary("arith.addf", y, x)
    return y


def routers(b, c):
    """One or two routers over the same rows, the second perhaps over what the first makes."""
    width, x, name = c.pick("width", [1, 2, 3, 5, 8, 13, 16, 17, 33]), None, "a"
    for name in ["a", "b"][:c.pick("routers", [1, 2], [85, 15])]:
        m = Router(b, c.at(name), name, width, x)
        m.logits = make_logits(m)
        r, w = select(m, m.logits)
        first = r
        r = edited(m, r)
        for function in READS:
            if m.c.chance(function.__name__, 30):
                function(m.at(function.__name__), r)
        if m.c.chance("loss", 25):
            m.c.pick("which loss", LOSSES)(m, first, w, m.logits)
        if m.c.chance("mix", 45):
            y = through_experts(m, r)
            b.result(y, "rows")
            x = y
    if not b.results:
        matrix(m, r)
