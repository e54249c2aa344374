"""Random routers over the whole routing algebra: logits, scores, keys and every selection. edits.py edits what they choose,
reads.py reads it.

Decisions over a batch (limits, experts that choose tokens) make all rows depend on all others. So `batch` is decided first:
without it rows may hold NaN and the like, and one doubtful token is left out; with it a doubtful decision leaves out the program.
"""

import random
import struct
from array import array
from typing import NamedTuple

from builder import Tensor, Value, to_bytes, uniform
from layers import EXPERTS, SCORES, hard_rows, softmax, tokens_of

LOGITS, SELECTIONS, BATCH_SELECTIONS, FORMULAS = [], [], [], []
THRESHOLDS = ["0.25", "0.0", "0.5", "-0.5", "1.0", "0.0625"]


def logits(function):
    LOGITS.append(function)
    return function


def selection(function):
    SELECTIONS.append(function)
    return function


def batch_selection(function):
    BATCH_SELECTIONS.append(function)
    return function


class Routing(NamedTuple):
    name: str
    type: str
    slots: int  # 0: a slot for every expert


class Router:
    def __init__(self, b, c, name, width, x=None):
        self.b, self.c, self.name, self.width, self.given_x = b, c, name, width, x
        self.batch = c.chance("batch", 55)
        self.experts = c.pick("experts", EXPERTS)
        self.reduced = False  # scores are sums over a row, so equal rows in another order need not stay equal
        self.rooted = False  # weights are powers of roots
        self.grid = self.hard = False
        self.segment_ids = None

    def at(self, name):
        """The same router, with decisions and names of its own."""
        inner = Router.__new__(Router)
        inner.__dict__ |= self.__dict__ | {"c": self.c.at(name), "name": f"{self.name}.{name}"}
        return inner

    @property
    def x(self):
        if self.given_x is None:
            self.given_x = self.b.input((None, self.width), "f32", tokens_of(self.b, self.width, "f32", f"{self.name}.x"))
        return self.given_x

    def routing(self, text, shape):
        r = Routing(self.b.fresh(), f"!moe.routing<{self.experts}, {shape}>", int(shape[4:]) if shape.startswith("top") else 0)
        self.b.line(f"{r.name} = {text} -> {r.type}")
        return r

    def same(self, r, text):
        """An edit that keeps the type."""
        new = r._replace(name=self.b.fresh())
        self.b.line(f"{new.name} = {text}")
        return new

    def segments(self):
        """Which sequence every token belongs to, in no order."""
        if self.segment_ids is None:
            rng, count = random.Random(f"{self.b.seed}.{self.name}.segments"), self.c.pick("segments", [2, 1, 3, 5])
            self.segment_list = [rng.randrange(count) * 3 - 1 for _ in range(self.b.tokens)]
            data = array("i", self.segment_list).tobytes()
            self.segment_ids = self.b.input((None,), "i32", Tensor((self.b.tokens,), "i32", data))
        return self.segment_ids

    def by_token(self, name, shape=()):
        """An input of f32 numbers, most of them different."""
        count = self.b.tokens
        for n in shape:
            count *= n
        data = uniform(f"{self.b.seed}.{self.name}.{name}", count, 2.0, "f32")
        return self.b.input((None,) + tuple(shape), "f32", Tensor((self.b.tokens,) + tuple(shape), "f32", data))


def number_input(b, kind, value):
    data = struct.pack({"f32": "<f", "i64": "<q"}[kind], value)
    return b.number(kind, Tensor((), kind, data))


# Logits: (router) -> [T, E]


@logits
def given(m):
    """An input: all different, or of few numbers that are exact, with rows that are copies of others."""
    if not m.batch:
        m.hard = True
        return m.b.input((None, m.experts), "f32", hard_rows(m.b, m.c, m))
    rng, n = random.Random(f"{m.b.seed}.{m.name}.logits"), m.experts
    m.grid = m.c.chance("grid", 40)
    rows = []
    for _ in range(m.b.tokens):
        if rows and rng.random() < 0.2:
            rows.append(rng.choice(rows))
        else:
            rows.append([rng.randrange(-8, 9) / 4 if m.grid else rng.uniform(-3, 3) for _ in range(n)])
    data = to_bytes([v for row in rows for v in row], "f32")
    return m.b.input((None, n), "f32", Tensor((m.b.tokens, n), "f32", data))


@logits
def product(m):
    w = m.b.param(f"{m.name}.router", (m.experts, m.width), m.c.pick("router.dtype", ["f32", "bf16"]), 2 * (3.0 / m.width) ** 0.5)
    bias = m.b.param(f"{m.name}.router.bias", (m.experts,), "f32") if m.c.chance("router.bias", 30) else None
    return m.b.linear(m.x, w, "f32", bias)


@logits
def product_by_input(m):
    """The weight is an input with a fixed number of rows, so it is packed in every call."""
    data = uniform(f"{m.b.seed}.{m.name}.w", m.experts * m.width, 2 * (3.0 / m.width) ** 0.5, "f32")
    w = m.b.input((m.experts, m.width), "f32", Tensor((m.experts, m.width), "f32", data))
    return m.b.linear(m.x, w, "f32")


@logits
def cosine(m):
    b, x = m.b, m.x
    w = b.param(f"{m.name}.cosine", (m.experts, m.width), "f32", 2 * (3.0 / m.width) ** 0.5)
    squares = b.reduce_sum(b.binary("arith.mulf", x, x), 1)
    rows = b.fresh()
    b.line(f"{rows} = moe.tokens {x.name} : {x.type}")
    column = b.op(f"tensor.expand_shape {squares.name} [[0, 1]] output_shape [{rows}, 1] : {squares.type} into tensor<?x1xf32>",
                  (None, 1), "f32")
    n = b.fresh()[1:]
    b.line(f"%{n} = moe.map (%a{n} = {column.name}) : ({column.type}) -> {column.type} {{")
    for text in (f"%e{n} = arith.constant 1.0e-6 : f32", f"%s{n} = arith.addf %a{n}, %e{n} : f32",
                 f"%r{n} = math.rsqrt %s{n} : f32", f"moe.yield %r{n} : f32"):
        b.line("  " + text)
    b.line("}")
    length = Value(f"%{n}", (None, 1), "f32")
    length = length if b.noise is None else b.perturbed(length, 1e-6)
    dots = b.linear(x, w, "f32")
    return b.binary("arith.mulf", dots, b.broadcast(length, dots))


def noise_for(m, like):
    kind = m.c.pick("noise", ["operand", "uniform", "normal", "gumbel"])
    if kind == "operand":
        return m.by_token("noise", (m.experts,))
    if not hasattr(m.b, "random_seed"):
        m.b.random_seed = number_input(m.b, "i64", random.Random(m.b.seed).getrandbits(50))
    drawn = m.b.op(f"moe.random {kind} like {like.name} seed {m.b.random_seed.name} stream {m.c.pick('stream', [0, 7, 4294967295])} "
                   f": {like.type}", like.shape, "f32")
    if kind == "uniform" or m.b.noise is None:
        return drawn
    return m.b.perturbed(drawn, 3e-6, m.b.ones_like(drawn))


def capped(m, l):
    n = m.b.fresh()[1:]
    text = [f"%i{n} = arith.constant 0.5 : f32", f"%o{n} = arith.constant 2.0 : f32", f"%s{n} = arith.mulf %a{n}, %i{n} : f32",
            f"%t{n} = math.tanh %s{n} : f32", f"%y{n} = arith.mulf %t{n}, %o{n} : f32", f"moe.yield %y{n} : f32"]
    m.b.line(f"%{n} = moe.map (%a{n} = {l.name}) : ({l.type}) -> {l.type} {{")
    for t in text:
        m.b.line("  " + t)
    m.b.line("}")
    l = Value(f"%{n}", l.shape, "f32")
    return l if m.b.noise is None else m.b.perturbed(l, 1e-6)


def make_logits(m):
    l = m.c.pick("logits", LOGITS, [64, 16, 8, 12])(m)
    extra = m.c.pick("logits.extra", ["", "bias", "noise", "softcap"], [70, 10, 10, 10])
    if extra == "bias":
        bias = m.b.param(f"{m.name}.bias", (m.experts,), "f32")
        l = m.b.binary("arith.addf", l, m.b.broadcast(bias, l))
    elif extra == "noise":
        l = m.b.binary("arith.addf", l, noise_for(m, l))
    elif extra == "softcap":
        l = capped(m, l)
    return l


def relu(m, l):
    n = m.b.fresh()[1:]
    m.b.line(f"%{n} = moe.map (%a{n} = {l.name}) : ({l.type}) -> {l.type} {{")
    for t in (f"%z{n} = arith.constant 0.0 : f32", f"%y{n} = arith.maximumf %a{n}, %z{n} : f32", f"moe.yield %y{n} : f32"):
        m.b.line("  " + t)
    m.b.line("}")
    return Value(f"%{n}", l.shape, "f32")


def make_score(m, l, name="score"):
    function = m.c.pick(name, SCORES + [relu, "tokens"])
    if function == "tokens":
        if m.batch and not m.hard:
            m.reduced = True
            return m.b.softmax(l, 0)
        function = softmax
    m.reduced |= function is softmax
    return function(m, l)


# Capacities: a name and its type


def capacity(m, segments=False):
    b, c = m.b, m.c
    form = c.pick("capacity", ["constant", "formula", "part"], [30, 55, 15])
    if form == "constant":
        name = b.fresh()
        b.line(f"{name} = arith.constant {c.pick('capacity.constant', [1, 2, 3, 7, 1000])} : index")
        return name, "index"
    if segments:
        s = m.segments()
        count = b.op(f"moe.segment_size {s.name} : {s.type}", s.shape, "i32")
        tokens, kind, least = count.name, s.type, 1
    else:
        tokens, kind, least = b.fresh(), "index", b.tokens
        like = m.logits
        b.line(f"{tokens} = moe.tokens {like.name} : {like.type}")
    if form == "part":
        if segments:
            return tokens, kind
        two, name = b.fresh(), b.fresh()
        b.line(f"{two} = arith.constant 2 : index")
        b.line(f"{name} = arith.divui {tokens}, {two} : index")
        return name, kind
    formula = c.pick("formula", ["mesh", "flaxformer", "megablocks", "deepspeed", "megatron", "tutel", "vmoe", "vmoe_expert_choice",
                                 "soft_moe"])
    factor = c.pick("factor", ["1.0", "0.5", "1.25", "2.0", "0.1"])
    if formula.startswith("vmoe") and least < 1 or formula == "soft_moe" and round(least * float(factor) / m.experts) < 1:
        formula = "mesh"
    text = f"moe.capacity {tokens} by {formula} factor {factor} experts {m.experts}"
    if formula in ("megablocks", "deepspeed", "megatron", "tutel", "vmoe"):
        text += f" choices {c.pick('formula.choices', [1, 2, 3])}"
    if formula in ("mesh", "flaxformer", "deepspeed"):
        text += f" minimum {c.pick('minimum', [1, 0, 4])}"
    if formula.startswith("vmoe"):
        text += f" multiple {c.pick('multiple', [1, 4])}"
    name = b.fresh()
    b.line(f"{name} = {text} : {kind}")
    FORMULAS.append(formula)
    return name, kind


# Selections: (router, weights, key) -> Routing


def route_text(m, w, key, groups=True):
    text = f"moe.route {w.name}" + (f" by {key.name}" if key is not w else "")
    m.kept = m.experts
    divisors = [n for n in range(2, m.experts + 1) if m.experts % n == 0]
    if groups and divisors and m.c.chance("groups", 25):
        n = m.c.pick("group count", divisors)
        keep, size = m.c.pick("group keep", range(1, n + 1)), m.experts // n
        best = m.c.pick("group best", range(1, min(size, 3) + 1))
        m.kept = keep * size
        text += f" groups {n} keep {keep} score " + ("max" if best == 1 and m.c.chance("group max", 50) else f"sum {best}")
    return text


@selection
def top(m, w, key):
    text = route_text(m, w, key)
    k = min(m.kept, m.c.pick("top", [1, 2, 3, 4, 6, 8, m.experts]))
    if key.name in m.b.probabilities:
        m.b.keys.append((key, k))
    return m.routing(f"{text} top {k} : {w.type}", f"top {k}")


def threshold(m, name, values):
    value = m.c.pick("threshold", values)
    if m.c.chance("threshold.input", 30):
        return f"{name} {number_input(m.b, 'f32', float(value)).name}"
    return f"{name} {value}"


@selection
def greater_than(m, w, key):
    return m.routing(f"{route_text(m, w, key)} {threshold(m, 'greater_than', THRESHOLDS)} : {w.type}", "any")


@selection
def at_least(m, w, key):
    return m.routing(f"{route_text(m, w, key)} {threshold(m, 'at_least', THRESHOLDS)} : {w.type}", "any")


@selection
def top_p(m, w, key):
    return m.routing(f"{route_text(m, w, key)} {threshold(m, 'top_p', ['0.8', '0.5', '1.0', '0.03'])} : {w.type}", "any")


@selection
def nonzero(m, w, key):
    return m.routing(f"{route_text(m, w, key)} nonzero : {w.type}", "any")


@selection
def everything(m, w, key):
    return m.routing(f"{route_text(m, w, key)} all : {w.type}", "any")


def distinct_ids(m, name, rows, k):
    rng, ids = random.Random(f"{m.b.seed}.{m.name}.{name}"), []
    for _ in range(rows):
        ids += [-1 if rng.random() < 0.15 else e for e in rng.sample(range(m.experts), k)]
    return Tensor((rows, k), "i32", array("i", ids).tobytes())


@selection
def lookup(m, w, key):
    k, size = min(m.experts, m.c.pick("top", [1, 2, 3])), m.c.pick("vocabulary", [17, 1, 256])
    rng = random.Random(f"{m.b.seed}.{m.name}.tokens")
    ids = array("i", [rng.randrange(size) for _ in range(m.b.tokens)])
    i = m.b.input((None,), "i32", Tensor((m.b.tokens,), "i32", ids.tobytes()))
    table = m.b.input((size, k), "i32", distinct_ids(m, "table", size, k))
    if m.c.chance("lookup.scores", 60):
        return m.routing(f"moe.lookup {i.name} in {table.name} weights {w.name} : {i.type}, {table.type}, {w.type}", f"top {k}")
    return m.routing(f"moe.lookup {i.name} in {table.name} : {i.type}, {table.type}", f"top {k}")


@selection
def from_indices(m, w, key):
    k = min(m.experts, m.c.pick("top", [1, 2, 3, 5]))
    ids = m.b.input((None, k), "i32", distinct_ids(m, "ids", m.b.tokens, k))
    weights = m.by_token("weights", (k,))
    return m.routing(f"moe.from_indices {ids.name}, {weights.name} : {ids.type}, {weights.type}", f"top {k}")


@batch_selection
def take(m, w, key):
    segmented = m.c.chance("take.segments", 40)
    text = route_text(m, w, key, groups=False)
    name, kind = capacity(m, segmented)
    s = m.segments() if segmented else None
    m.b.permutable = False
    return m.routing(f"{text} take {name}{f' segments {s.name}' if s else ''} : {w.type}, {kind}{f', {s.type}' if s else ''}", "take")


@batch_selection
def assign(m, w, key):
    """Scores are an input: an auction amplifies rounding. T is a multiple of E in every segment."""
    tokens = m.b.tokens
    if tokens % m.experts or m.hard:
        return take(m, w, key)
    scores = m.by_token("auction", (m.experts,))
    m.b.permutable = False
    numbers = f"epsilon over {m.c.pick('over', ['50.0', '10.0'])} at_least 1.0e-4 rounds {m.c.pick('rounds', [100, 1, 20])}"
    return m.routing(f"moe.assign {w.name} by {scores.name} {numbers} : {w.type}", "top 1")


def select(m, l):
    """A routing by these logits, and its scores."""
    w = make_score(m, l)
    key, by = w, m.c.pick("key", ["", "bias", "noise", "other"], [70, 12, 8, 10])
    if by == "bias":
        bias = m.b.param(f"{m.name}.selection", (m.experts,), "f32")
        key = m.b.binary("arith.addf", w, m.b.broadcast(bias, w))
    elif by == "noise":
        key = m.b.binary("arith.addf", w, noise_for(m, w))
    elif by == "other":
        key = make_score(m, l, "key.score")
    options = SELECTIONS + (BATCH_SELECTIONS if m.batch else [])
    r = m.c.pick("selection", options, ([40] + [8] * (len(SELECTIONS) - 1) + [25, 12])[:len(options)])(m, w, key)
    m.b.state(r)
    return r, w
