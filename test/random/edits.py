"""Edits of routings of every shape: weights, pairs, unions and limits. One generator function (router, routing) -> routing each."""

from builder import Value
from routers import capacity, make_logits, number_input, select
from scalars import expression

EDITS = []


def edit(function):
    EDITS.append(function)
    return function


def weights_of(m, r):
    shape = (None, r.slots)
    return m.b.op(f"moe.weights {r.name} : {r.type} -> {Value('', shape, 'f32').type}", shape, "f32", 5e-7)


def settled(m, r):
    """In the noisy program: the same routing with noise of the size of its edits in the weights."""
    b = m.b
    if b.noise is None:
        return r
    if r.slots:
        w = weights_of(m, r)
        return m.same(r, f"moe.with_weights {r.name}, {w.name} : {r.type}, {w.type}")
    signs = [((e * 7 + int(b.noise) * 5 + e * e * (int(b.noise) + 1)) % 5 - 2) / 2 for e in range(m.experts)]
    numbers, name = ", ".join(f"{1 + 5e-7 * s:.9e}" for s in signs), b.fresh()
    b.line(f"{name} = arith.constant dense<[{numbers}]> : tensor<{m.experts}xf32>")
    return m.same(r, f"moe.scale {r.name} by {name} : {r.type}, tensor<{m.experts}xf32>")


@edit
def by_sum(m, r):
    form = m.c.pick("sum", [" at_least 1.0e-3", " plus 1.0e-2", ""])
    return m.same(r, f"moe.normalize {r.name} by sum{form} : {r.type}")


@edit
def by_softmax(m, r):
    return m.same(r, f"moe.normalize {r.name} by softmax : {r.type}")


@edit
def by_lp(m, r):
    if m.hard:  # f32 has no room for the powers of huge numbers
        return by_softmax(m, r)
    return m.same(r, f"moe.normalize {r.name} by lp {m.c.pick('p', ['1.0', '2.0', '3.0'])} : {r.type}")


@edit
def by_constant(m, r):
    return m.same(r, f"moe.scale {r.name} by {m.c.pick('constant', ['2.5', '-0.5', '0.0'])} : {r.type}")


@edit
def by_value(m, r):
    f = m.b.fresh()
    m.b.line(f"{f} = arith.constant 1.25 : f32")
    return m.same(r, f"moe.scale {r.name} by {f} : {r.type}, f32")


@edit
def by_expert(m, r):
    v = m.b.param(f"{m.name}.scale", (m.experts,), "f32")
    return m.same(r, f"moe.scale {r.name} by {v.name} : {r.type}, {v.type}")


@edit
def by_arithmetic(m, r):
    if not r.slots:
        return by_expert(m, r)
    v = expression(m.b, m.c.at("map"), [weights_of(m, r)], "f32")
    return m.same(r, f"moe.with_weights {r.name}, {v.name} : {r.type}, {v.type}")


def above(m, value, limit):
    """Where a tensor is above a number."""
    n = m.b.fresh()[1:]
    mask = Value(f"%{n}", value.shape, "i1")
    m.b.line(f"%{n} = moe.map (%a{n} = {value.name}) : ({value.type}) -> {mask.type} {{")
    m.b.line(f"  %t{n} = arith.constant {limit} : f32")
    m.b.line(f"  %c{n} = arith.cmpf ogt, %a{n}, %t{n} : f32")
    m.b.line(f"  moe.yield %c{n} : i1")
    m.b.line("}")
    return mask


@edit
def keep(m, r):
    form = m.c.pick("keep", ["expert", "slots", "pairs", "weights"])
    if form == "expert":
        mask = above(m, m.b.param(f"{m.name}.keep", (m.experts,), "f32"), "-0.25")
    elif form == "slots" and r.slots:
        mask = above(m, m.by_token("keep", (r.slots,)), "-0.5")
    elif form == "weights" and r.slots:
        mask = above(m, weights_of(m, r), m.c.pick("keep.above", ["0.0", "0.1"]))
    else:
        mask = above(m, m.by_token("keep", (m.experts,)), "-0.5")
    return m.same(r, f"moe.keep {r.name} where {mask.name} : {r.type}, {mask.type}")


@edit
def join(m, r):
    """With another choice by the same logits, or by logits of its own."""
    l = m.logits if m.c.chance("join.logits", 60) else make_logits(m)
    other, _ = select(m, l)
    m.reduced = True
    slots = r.slots + other.slots
    both = r.slots and other.slots and m.c.chance("join.slots", 70)
    shape = f"top {slots}" if both and slots <= m.experts else "any"
    return m.routing(f"moe.join {r.name}, {other.name} : {r.type}, {other.type}", shape)


@edit
def limit(m, r):
    if not m.batch:
        return keep(m, r)
    c, b = m.c, m.b
    b.permutable = False
    order = c.pick("order", ["position", "choice", "token_choice", "weight", "pair", "token", "slot", "choice by", "token_choice by"])
    if order in ("choice", "token_choice", "slot", "choice by", "token_choice by") and not r.slots:
        order = "pair" if order == "slot" else "position"
    if order == "weight" and (m.rooted or m.grid and m.reduced):  # numbers that are equal but for rounding
        order = "pair"
    place = c.pick("place", [0, 1, 2]) if r.slots and order != "position" else 0
    place = min(place, r.slots)
    segmented = c.chance("limit.segments", 35)
    name, kind = capacity(m, segmented)
    priority = None
    if order in ("pair", "token", "slot") or order.endswith("by"):
        shapes = {"pair": (m.experts,), "slot": (r.slots,)}
        priority = m.by_token("priority", shapes.get(order, ()))
        text = f"{order} {priority.name}" if order.endswith("by") else priority.name
    else:
        text = order
    text += f" place {place} overflow next_choice" if place else " overflow drop"
    s = m.segments() if segmented else None
    text += f" segments {s.name}" if s else ""
    types = [r.type, kind] + [v.type for v in (priority, s) if v]
    return m.same(r, f"moe.limit {r.name} to {name} order {text} : {', '.join(types)}")


def flow(m, r):
    """In a branch, chosen among two, or again and again, by a number that only the run knows."""
    b, form = m.b, m.c.pick("flow", ["branch", "choice", "loop"])
    function = m.c.pick("flow.edit", [by_softmax, by_constant, by_value])
    n, zero, one, result = number_input(b, "i64", m.c.pick("flow.number", [1, 0, 2])).name, b.fresh(), b.fresh(), b.fresh()
    b.line(f"{zero} = arith.constant 0 : i64")
    b.line(f"{one} = arith.constant 1 : i64")
    if form == "loop":
        before = r._replace(name=b.fresh())
        b.line(f"{result} = scf.for {b.fresh()} = {zero} to {n} step {one} iter_args({before.name} = {r.name}) -> ({r.type}) : i64 {{")
        b.line(f"scf.yield {function(m, settled(m, before)).name} : {r.type}")
    else:
        condition = b.fresh()
        b.line(f"{condition} = arith.cmpi eq, {n}, {one} : i64")
        other = function(m, settled(m, r)) if form == "choice" else None
        b.line(f"{result} = scf.if {condition} -> ({r.type}) {{")
        b.line(f"scf.yield {(other or function(m, settled(m, r))).name} : {r.type}")
        b.line("} else {")
        b.line(f"scf.yield {r.name} : {r.type}")
    b.line("}")
    return r._replace(name=result)


def edited(m, r):
    """Up to four edits."""
    for i in range(m.c.pick("edits", [0, 1, 2, 3, 4], [20, 32, 26, 14, 8])):
        inner = m.at(f"edit{i}")
        options = EDITS + [limit] * 4 + [keep] if m.batch else EDITS
        share = len(options) // 2 if inner.c.flow else 0
        function = inner.c.pick("edit", options + [flow], [1] * len(options) + [share])
        r = function(inner, settled(inner, r))
        m.reduced, m.rooted = True, m.rooted or function is by_lp
        m.segment_ids, m.given_x, m.hard = inner.segment_ids, inner.given_x, m.hard or inner.hard
        m.b.state(r)
    return settled(m, r)
