"""Identities of the routing algebra: programs that say one thing in two ways, whose results must agree. One function each;
properties.py has those of whole mixtures.
"""

import random
from array import array

from builder import Tensor, Value, uniform
from edits import above, settled
from layers import combine, dispatch
from routers import Router, assign, select, softmax, top

IDENTITIES = []


def identity(function):
    IDENTITIES.append(function)
    return function


class Two:
    """A router whose logits are all different, and what is compared of its routings."""

    def __init__(self, b, c):
        self.b, self.c = b, c
        self.m = m = Router(b, c.at("id"), "id", c.pick("width", [1, 3, 5, 8, 17]))
        m.batch = True
        data = uniform(f"{b.seed}.logits", b.tokens * m.experts, 3.0, "f32")
        m.logits = b.input((None, m.experts), "f32", Tensor((b.tokens, m.experts), "f32", data))

    def scores(self, l=None):
        return softmax(self.m, l or self.m.logits) if self.c.chance("softmax", 50) else self.b.unary("moe.sigmoid", l or self.m.logits)

    def any_routing(self):
        return settled(self.m, select(self.m, self.m.logits)[0])

    def top(self, scores=None):
        w = scores or self.scores()
        r = settled(self.m, top(self.m, w, w))
        self.b.state(r)
        return r

    def edit(self, r, text):
        return self.m.same(r, f"{text} : {r.type}")

    def matrix(self, r, noisy=True):
        shape = (None, self.m.experts)
        return self.b.op(f"moe.to_matrix {r.name} : {r.type} -> {Value('', shape, 'f32').type}", shape, "f32", 5e-7 if noisy else None)

    def counts(self, r):
        return self.b.op(f"moe.counts {r.name} : {r.type} -> tensor<{self.m.experts}xi32>", (self.m.experts,), "i32")

    def agree(self, first, second, role="weights"):
        self.b.equal.append((self.b.result(first, role), self.b.result(second, role)))

    def same(self, r, s):
        """Two routings with the same pairs and weights, and slots where both have them."""
        self.agree(self.matrix(r), self.matrix(s))
        self.agree(self.counts(r), self.counts(s), "counts")
        if r.slots and r.slots == s.slots:
            shape, i = (None, r.slots), f"tensor<?x{r.slots}xi32>"
            self.agree(*(self.b.op(f"moe.indices {v.name} : {v.type} -> {i}", shape, "i32") for v in (r, s)), "counts")

    def constant(self, value, kind="index"):
        name = self.b.fresh()
        self.b.line(f"{name} = arith.constant {value} : {kind}")
        return name

    def order(self):
        """Where every token goes, as an input."""
        order = list(range(self.b.tokens))
        random.Random(f"{self.b.seed}.order").shuffle(order)
        return order, self.indices(order)

    def indices(self, order):
        return self.b.input((None,), "i32", Tensor((len(order),), "i32", array("i", order).tobytes()))

    def gather(self, x, i):
        shape = (None,) + x.shape[1:]
        return self.b.op(f"moe.gather {x.name} at {i.name} : {x.type}, {i.type} -> {Value('', shape, x.dtype).type}", shape, x.dtype)


def limit(t, r, capacity, order, overflow="overflow drop"):
    priority = None
    if order == "token":
        priority = t.m.by_token("priority")
        order = priority.name
    elif order.endswith("by"):
        priority = t.m.by_token("priority")
        order = f"{order} {priority.name}"
    t.b.permutable = False
    types = f"{r.type}, index{f', {priority.type}' if priority else ''}"
    return t.m.same(r, f"moe.limit {r.name} to {capacity} order {order} {overflow} : {types}")


ORDERS = ["position", "choice", "token_choice", "weight", "token", "choice by", "token_choice by"]


def an_order(t, r):
    order = t.c.pick("order", ORDERS)
    return "position" if "choice" in order and not r.slots else order


@identity
def no_drop_without_overflow(t):
    """A capacity of T drops nothing, in any order: dropping and dropless programs are then the same."""
    r = t.any_routing()
    t.same(r, limit(t, r, t.constant(t.b.tokens + t.c.pick("more", [1, 0, 1000]) or 1), an_order(t, r)))


@identity
def limit_twice(t):
    r = t.any_routing()
    c, order = t.constant(t.c.pick("capacity", [1, 2, 5])), an_order(t, r)
    once = limit(t, r, c, order)
    t.b.state(once)
    t.same(once, limit(t, once, c, order))


@identity
def everybody_finds_a_place(t):
    r = t.top()
    t.same(r, limit(t, r, t.constant(t.b.tokens + 1), "choice", f"place {r.slots} overflow next_choice"))


@identity
def top_e_is_all(t):
    w, m = t.scores(), t.m
    r = settled(m, m.routing(f"moe.route {w.name} top {m.experts} : {w.type}", f"top {m.experts}"))
    s = settled(m, m.routing(f"moe.route {w.name} all : {w.type}", "any"))
    t.same(*(t.edit(v, f"moe.normalize {v.name} by sum") for v in (r, s)) if t.c.chance("normalize", 60) else (r, s))


@identity
def take_t_is_all(t):
    w, m = t.scores(), t.m
    c = t.constant(t.b.tokens + 1)
    r = m.routing(f"moe.route {w.name} take {c} : {w.type}, index", "take")
    t.same(r, m.routing(f"moe.route {w.name} all : {w.type}", "any"))


@identity
def all_groups_kept(t):
    w, m = t.scores(), t.m
    k, n = min(m.experts, t.c.pick("top", [1, 2, 3])), t.c.pick("groups", [n for n in range(1, m.experts + 1) if m.experts % n == 0])
    r = m.routing(f"moe.route {w.name} groups {n} keep {n} score max top {k} : {w.type}", f"top {k}")
    t.b.state(r)
    t.same(r, m.routing(f"moe.route {w.name} top {k} : {w.type}", f"top {k}"))


@identity
def one_segment(t):
    w, m = t.scores(), t.m
    s = t.m.b.input((None,), "i32", Tensor((t.b.tokens,), "i32", array("i", [5] * t.b.tokens).tobytes()))
    c = t.constant(t.c.pick("capacity", [1, 2, 5]))
    t.b.permutable = False
    if t.c.chance("limit", 50):
        r = t.top(w)
        order = t.c.pick("order", ORDERS[:4])
        first, second = (m.same(r, f"moe.limit {r.name} to {c} order {order} overflow drop{text}") for text in
                         (f" : {r.type}, index", f" segments {s.name} : {r.type}, index, {s.type}"))
    else:
        first = m.routing(f"moe.route {w.name} take {c} : {w.type}, index", "take")
        second = m.routing(f"moe.route {w.name} take {c} segments {s.name} : {w.type}, index, {s.type}", "take")
    t.b.state(first)
    t.same(first, second)
    p, r = t.scores(), t.top(w)
    t.agree(*(t.b.op(f"moe.balance_loss {p.name} of {r.name} counting all scale choices{text}", (), "f32", 1e-5) for text in
              (f" : {p.type}, {r.type}", f" segments {s.name} : {p.type}, {r.type}, {s.type}")), "number")


@identity
def two_halves(t):
    """What a mask keeps and what its opposite keeps join to the whole."""
    r, m = t.any_routing(), t.m
    mask = above(m, m.by_token("mask", (m.experts,)), "0.0")
    n = t.b.fresh()[1:]
    t.b.line(f"%{n} = moe.map (%a{n} = {mask.name}) : ({mask.type}) -> {mask.type} {{")
    t.b.line(f"  %t{n} = arith.constant true")
    t.b.line(f"  %x{n} = arith.xori %a{n}, %t{n} : i1")
    t.b.line(f"  moe.yield %x{n} : i1")
    t.b.line("}")
    one, other = (m.same(r, f"moe.keep {r.name} where {name} : {r.type}, {mask.type}") for name in (mask.name, f"%{n}"))
    any_type = f"!moe.routing<{m.experts}, any>"
    both = m.routing(f"moe.join {one.name}, {other.name} : {one.type}, {other.type}", "any")
    t.same(m.routing(f"moe.join {other.name}, {one.name} : {other.type}, {one.type}", "any"), both)
    assert both.type == any_type
    t.agree(t.matrix(r), t.matrix(both))
    t.agree(t.counts(r), t.counts(both), "counts")


@identity
def replayed(t):
    """A routing is its experts and weights, empty slots included."""
    r, m = t.top(), t.m
    if t.c.chance("limit", 60):
        r = limit(t, r, t.constant(t.c.pick("capacity", [1, 3])), t.c.pick("order", ORDERS))
        t.b.state(r)
    k = r.slots
    i = t.b.op(f"moe.indices {r.name} : {r.type} -> tensor<?x{k}xi32>", (None, k), "i32")
    w = t.b.op(f"moe.weights {r.name} : {r.type} -> tensor<?x{k}xf32>", (None, k), "f32")
    t.same(r, m.routing(f"moe.from_indices {i.name}, {w.name} : {i.type}, {w.type}", f"top {k}"))


@identity
def normalized_twice(t):
    r, m = t.any_routing(), t.m
    w = t.c.pick("norm", ["sum", "lp 1.0"])
    r = t.edit(r, f"moe.normalize {r.name} by softmax") if m.reduced is False or w == "sum" else r
    once = settled(m, t.edit(r, f"moe.normalize {r.name} by {w}"))
    t.same(once, t.edit(once, f"moe.normalize {once.name} by {w}"))


@identity
def scaled_and_normalized(t):
    """A common factor does not survive normalisation."""
    r, m = t.top(), t.m
    s = t.edit(r, f"moe.scale {r.name} by 8.0")
    norm = t.c.pick("norm", ["sum", "lp 2.0"])
    t.same(*(t.edit(v, f"moe.normalize {v.name} by {norm}") for v in (r, s)))


@identity
def softmax_before_or_after(t):
    """The largest of a softmax, normalised, are the softmax of the largest."""
    m, k = t.m, min(t.m.experts, t.c.pick("top", [1, 2, 3, 6]))
    w = m.b.softmax(m.logits)
    r = m.routing(f"moe.route {w.name} top {k} : {w.type}", f"top {k}")
    s = m.routing(f"moe.route {m.logits.name} top {k} : {w.type}", f"top {k}")
    m.b.state(r)
    r = settled(m, r)
    t.same(t.edit(r, f"moe.normalize {r.name} by sum"), t.edit(s, f"moe.normalize {s.name} by softmax"))


@identity
def thresholds_are_masks(t):
    w, m = t.scores(), t.m
    r = m.routing(f"moe.route {w.name} greater_than 0.25 : {w.type}", "any")
    t.b.state(r)
    a = m.routing(f"moe.route {w.name} all : {w.type}", "any")
    mask = above(m, w, "0.25")
    t.same(r, m.same(a, f"moe.keep {a.name} where {mask.name} : {a.type}, {mask.type}"))


@identity
def balanced_assignment(t):
    """An auction gives every expert T / E tokens."""
    b, m = t.b, t.m
    m.experts = next(e for e in sorted({m.experts, 8, 5, 3, 2, 1}, reverse=True) if b.tokens % e == 0)
    data = uniform(f"{b.seed}.gate", b.tokens * m.experts, 1.0, "f32")
    w = b.input((None, m.experts), "f32", Tensor((b.tokens, m.experts), "f32", data))
    r = assign(m, w, w)
    n = b.fresh()
    b.line(f"{n} = arith.constant dense<{b.tokens // m.experts}> : tensor<{m.experts}xi32>")
    t.agree(t.counts(r), Value(n, (m.experts,), "i32"), "counts")


@identity
def experts_in_another_order(t):
    """Columns of the logits move, and with them the columns of the routing."""
    b, m, e = t.b, t.m, t.m.experts
    order = list(range(e))
    random.Random(f"{b.seed}.columns").shuffle(order)
    p = b.input((e, e), "f32", Tensor((e, e), "f32", array("f", [float(order[i] == j) for i in range(e) for j in range(e)]).tobytes()))
    soft = t.c.chance("softmax", 50)
    selection = t.c.pick("by", ["top 1", f"top {min(e, 3)}", "greater_than 0.25", "top_p 0.7", "take"])
    made = []
    for l in (m.logits, b.linear(m.logits, p, "f32")):
        w = softmax(m, l) if soft else b.unary("moe.sigmoid", l)
        shape = selection if selection[:4] in ("top ", "take") else "any"
        text, kind = (f"take {t.constant(2)}", ", index") if selection == "take" else (selection, "")
        b.permutable &= selection != "take"
        r = m.routing(f"moe.route {w.name} {text} : {w.type}{kind}", shape)
        b.state(r)
        made.append(t.matrix(r))
    t.agree(b.linear(made[0], p, "f32"), made[1])


@identity
def tokens_in_another_order(t):
    """Choices of tokens, of experts, and of limits by value do not depend on the order of tokens."""
    b, m = t.b, t.m
    _, i = t.order()
    by, moved, made = t.c.pick("by", ["top", "take", "limit"]), t.gather(m.logits, i), []
    for l in (m.logits, moved):
        w = b.unary("moe.sigmoid", l)
        k = min(m.experts, 2)
        if by == "take":
            r = m.routing(f"moe.route {w.name} take {t.constant(2)} : {w.type}, index", "take")
        else:
            r = m.routing(f"moe.route {w.name} top {k} : {w.type}", f"top {k}")
        b.state(r)
        if by == "limit":
            r = m.same(r, f"moe.limit {r.name} to {t.constant(2)} order weight overflow drop : {r.type}, index")
            b.state(r)
        made.append(t.matrix(r))
    b.permutable = False
    t.agree(t.gather(made[0], i), made[1])


@identity
def prefix_of_a_batch(t):
    """The first tokens alone are what they are in the batch, for a limit that is causal."""
    b, m = t.b, t.m
    i = t.indices(list(range((b.tokens + 1) // 2)))
    order, capacity = t.c.pick("order", ["position", "token_choice"]), t.c.pick("capacity", [1, 2, 5])
    made = []
    for l in (m.logits, t.gather(m.logits, i)):
        w, k = b.unary("moe.sigmoid", l), min(m.experts, 2)
        r = m.routing(f"moe.route {w.name} top {k} : {w.type}", f"top {k}")
        b.state(r)
        made.append(t.matrix(limit(t, r, t.constant(capacity), order)))
    t.agree(t.gather(made[0], i), made[1])


@identity
def gathered_pairs(t):
    """The tokens of the pairs, one after the other, are the rows of a dispatch."""
    b, m, r = t.b, t.m, t.any_routing()
    names, i = [b.fresh() for _ in range(4)], "tensor<?xi32>"
    b.line(f"{', '.join(names)} = moe.pairs {r.name} : {r.type} -> {i}, {i}, {i}, tensor<?xf32>")
    x = m.x
    rows = b.op(f"moe.gather {x.name} at {names[1]} : {x.type}, {i} -> {x.type}", x.shape, "f32")
    t.agree(*(combine(b, v, r.name, r.type, True, m.experts) for v in (dispatch(b, x, r.name, r.type), rows)), "rows")


@identity
def scaled_rows(t):
    """Twice the weight is twice the sum, at the input too."""
    b, m, r = t.b, t.m, t.any_routing()
    s = t.edit(r, f"moe.scale {r.name} by 2.0")
    x = m.x
    y = combine(b, dispatch(b, x, r.name, r.type), r.name, r.type, True, m.experts)
    z = combine(b, dispatch(b, x, s.name, s.type), s.name, s.type, True, m.experts)
    at_input = combine(b, dispatch(b, x, s.name, s.type, True), s.name, s.type, False, m.experts)
    t.agree(b.binary("arith.addf", y, y), z, "rows")
    t.agree(z, at_input, "rows")


@identity
def importance_is_a_column_sum(t):
    b, m, r = t.b, t.m, t.any_routing()
    g = t.matrix(r)
    first = b.op(f"moe.importance {r.name} : {r.type} -> tensor<{m.experts}xf32>", (m.experts,), "f32", 1e-5, b.reduce_sum(
        b.op(f"math.absf {g.name} : {g.type}", g.shape, "f32"), 0) if b.noise is not None else None)
    t.agree(first, b.reduce_sum(g, 0), "number")


@identity
def scales_of_a_loss(t):
    """The loss that is 1 at balance is the one that is k there, divided by k."""
    b, m, w = t.b, t.m, t.scores()
    r = t.top(w)
    one, choices = (b.op(f"moe.balance_loss {w.name} of {r.name} counting all scale {s} : {w.type}, {r.type}", (), "f32", 1e-5)
                    for s in ("one", "choices"))
    k = b.fresh()
    b.line(f"{k} = arith.constant dense<{float(r.slots)}> : tensor<f32>")
    t.agree(choices, b.binary("arith.mulf", one, Value(k, (), "f32")), "number")


@identity
def a_table_is_given_experts(t):
    b, m = t.b, t.m
    k = min(m.experts, t.c.pick("top", [1, 2, 3]))
    rng = random.Random(f"{b.seed}.table")
    rows = [e for _ in range(b.tokens) for e in rng.sample(range(m.experts), k)]
    data = Tensor((b.tokens, k), "i32", array("i", rows).tobytes())
    table = b.input((b.tokens, k), "i32", data)
    ids = b.input((None, k), "i32", data)
    each = t.indices(list(range(b.tokens)))
    ones = b.op(f"moe.map (%a = {ids.name}) : ({ids.type}) -> tensor<?x{k}xf32> {{\n    %one = arith.constant 1.0 : f32\n"
                "    moe.yield %one : f32\n  }", (None, k), "f32")
    r = m.routing(f"moe.lookup {each.name} in {table.name} : {each.type}, {table.type}", f"top {k}")
    t.same(r, m.routing(f"moe.from_indices {ids.name}, {ones.name} : {ids.type}, {ones.type}", f"top {k}"))


def identities(b, c):
    c.pick("which", IDENTITIES)(Two(b, c))


__all__ = ["identities"]
