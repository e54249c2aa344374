"""Equivalences of mixtures (reliability: identical experts are a dense layer, and so on) as programs with results that
must agree: one function each.
"""

import random
from array import array

from builder import Tensor, Value, to_bytes
from edits import edited
from layers import SIZES, Layer, combine, dispatch, tokens_of
from routers import Router, make_logits, select

PROPERTIES = []


def property_test(function):
    PROPERTIES.append(function)
    return function


class Swiglu:
    """A mixture of gated experts with params of its own, or copies of those of `like` in another order."""

    def __init__(self, b, name, layer, hidden, like=None, order=None, experts=None):
        self.b, self.name, self.layer, self.hidden = b, name, layer, hidden
        n, e = layer.width, experts or layer.experts
        self.shapes = {"gate": (e, hidden, n), "up": (e, hidden, n), "down": (e, n, hidden), "router": (layer.experts, n)}
        self.params = {}
        for part, shape in self.shapes.items():
            source = None
            if like:
                source = (f"{like.name}.{part}", order if part != "router" or like.shapes[part][0] > 1 and len(set(order)) > 1
                          else list(range(layer.experts)))
            self.params[part] = b.param(f"{name}.{part}", shape, "f32", 2 * (3.0 / shape[-1]) ** 0.5, copy=source)

    def route(self, x, shift=None):
        b, layer = self.b, self.layer
        logits = b.linear(x, self.params["router"], "f32")
        if shift is not None:
            n = b.fresh()
            b.line(f"{n} = moe.map (%a{n[2:]} = {logits.name}) : ({logits.type}) -> {logits.type} {{")
            b.line(f"  %c{n[2:]} = arith.constant {shift} : f32")
            b.line(f"  %d{n[2:]} = arith.addf %a{n[2:]}, %c{n[2:]} : f32")
            b.line(f"  moe.yield %d{n[2:]} : f32")
            b.line("}")
            logits = Value(n, logits.shape, "f32")
            logits = logits if b.noise is None else b.perturbed(logits, 2.0**-22)
        scores = b.softmax(logits)
        b.keys.append((scores, layer.choices))
        g = layer.routing(f"moe.route {scores.name} top {layer.choices} : {scores.type} -> {layer.type}")
        return scores, layer.routing(f"moe.normalize {g} by sum : {layer.type}")

    def apply(self, x, r, also_hidden=False):
        """The routed experts on x; with `also_hidden` their inner rows too, which then cannot stay inside a kernel."""
        b, layer, n = self.b, self.layer, self.b.fresh()[2:]
        rows = dispatch(b, x, r, layer.type)
        t = Value(f"%t{n}", rows.shape, "f32")
        slices = {part: Value(f"%{part}{n}", self.params[part].shape[1:], "f32") for part in ("gate", "up", "down")}
        main, indent, b.lines, b.indent = b.lines, b.indent, [], "    "
        y, h = self.expert(t, slices)
        region, b.lines, b.indent = b.lines, main, indent
        outs = [Value(b.fresh(), rows.shape, "f32")] + ([Value(b.fresh(), h.shape, "f32")] if also_hidden else [])
        yields = [y, h][:len(outs)]
        each = ", ".join(f"{v.name} = {self.params[part].name}" for part, v in slices.items())
        types = ", ".join([rows.type] + [self.params[part].type for part in slices])
        b.line(f"{', '.join(v.name for v in outs)} = moe.expert by {r} rows({t.name} = {rows.name}) each({each}) : {layer.type}, "
               f"({types}) -> ({', '.join(v.type for v in outs)}) {{")
        b.lines += region + [f"    moe.yield {', '.join(v.name for v in yields)} : {', '.join(v.type for v in yields)}", "  }"]
        return combine(b, outs[0], r, layer.type, True, layer.choices), outs[-1]

    def expert(self, x, weights):
        b = self.b
        h = b.binary("arith.mulf", b.unary("moe.silu", b.linear(x, weights["gate"], "f32")), b.linear(x, weights["up"], "f32"))
        return b.linear(h, weights["down"], "f32"), h

    def dense(self, x, expert):
        """Expert number `expert` on all rows."""
        b, weights = self.b, {}
        for part in ("gate", "up", "down"):
            w = self.params[part]
            shape = w.shape[1:]
            name = b.fresh()
            b.line(f"{name} = tensor.extract_slice {w.name}[{expert}, 0, 0] [1, {shape[0]}, {shape[1]}] [1, 1, 1] : {w.type} to "
                   f"{Value('', shape, 'f32').type}")
            weights[part] = Value(name, shape, "f32")
        return self.expert(x, weights)[0]


def start(b, c):
    width = c.pick("width", SIZES[:12])
    layer = Layer(b, c, "mix", width, "f32")
    hidden = c.pick("hidden", SIZES[:12])
    x = b.input((None, width), "f32", tokens_of(b, width, "f32", "x"))
    return layer, hidden, x


def agree(b, first, second):
    b.equal.append((b.result(first, "rows"), b.result(second, "rows")))


@property_test
def identical_experts_are_dense(b, c):
    layer, hidden, x = start(b, c)
    one = Swiglu(b, "one", layer, hidden, experts=1)
    many = Swiglu(b, "many", layer, hidden, one, [0] * layer.experts)
    agree(b, many.apply(x, many.route(x)[1])[0], one.dense(x, 0))


@property_test
def experts_in_another_order(b, c):
    layer, hidden, x = start(b, c)
    first = Swiglu(b, "first", layer, hidden)
    order = list(range(layer.experts))
    random.Random(b.seed).shuffle(order)
    second = Swiglu(b, "second", layer, hidden, first, order)
    agree(b, first.apply(x, first.route(x)[1])[0], second.apply(x, second.route(x)[1])[0])


@property_test
def all_experts_are_a_soft_sum(b, c):
    layer, hidden, x = start(b, c)
    layer.experts = layer.choices = min(layer.experts, 5)
    layer.type = f"!moe.routing<{layer.experts}, top {layer.choices}>"
    m = Swiglu(b, "all", layer, hidden)
    scores, r = m.route(x)
    agree(b, m.apply(x, r)[0], weighted_sum(b, m, x, scores))


def weighted_sum(b, m, x, weights):
    """The sum over experts of a column of `weights` times the expert on all rows."""
    total, layer = None, m.layer
    for e in range(layer.experts):
        # Rows of ones at column e: every element of a token's row is its weight of expert e.
        pick = b.param(f"pick{e}", (layer.width, layer.experts), "f32")
        ones = to_bytes([float(i == e) for _ in range(layer.width) for i in range(layer.experts)], "f32")
        b.tensors[f"{b.function}.pick{e}"] = Tensor(pick.shape, "f32", ones)
        part = b.binary("arith.mulf", m.dense(x, e), b.linear(weights, pick, "f32"))
        total = part if total is None else b.binary("arith.addf", total, part)
    return total


@property_test
def any_routing_is_a_weighted_sum(b, c):
    """Whatever chose the pairs: the sum over experts of the matrix' column times the expert on all rows. So nothing is dropped."""
    layer, hidden, x = start(b, c)
    router = Router(b, c.at("by"), "by", layer.width, x)
    router.batch, router.experts = True, min(layer.experts, 3)  # no infinite weights: a product with 0 would be NaN
    layer.experts = router.experts
    router.logits = make_logits(router)
    r, _ = select(router, router.logits)
    r = edited(router, r)
    layer.choices, layer.type = r.slots or layer.experts, r.type
    m = Swiglu(b, "any", layer, hidden)
    g = b.op(f"moe.to_matrix {r.name} : {r.type} -> tensor<?x{layer.experts}xf32>", (None, layer.experts), "f32", 5e-7)
    agree(b, m.apply(x, r.name)[0], weighted_sum(b, m, x, g))


@property_test
def logits_may_be_shifted(b, c):
    layer, hidden, x = start(b, c)
    m = Swiglu(b, "shift", layer, hidden)
    agree(b, m.apply(x, m.route(x)[1])[0], m.apply(x, m.route(x, "3.0")[1])[0])


@property_test
def fused_and_unfused(b, c):
    layer, hidden, x = start(b, c)
    m = Swiglu(b, "fused", layer, hidden)
    r = m.route(x)[1]
    y, h = m.apply(x, r, also_hidden=True)
    b.result(combine(b, h, r, layer.type, False, layer.choices), "rows")
    agree(b, m.apply(x, r)[0], y)


def gathered(b, x, indices, count):
    shape = (None,) + x.shape[1:]
    return b.op(f"moe.gather {x.name} at {indices.name} : {x.type}, {indices.type} -> {Value('', shape, x.dtype).type}", shape, x.dtype)


@property_test
def tokens_in_another_order(b, c):
    """Also part of a batch alone: the rows that `order` names, alone or in the batch, are the same rows."""
    layer, hidden, x = start(b, c)
    order = list(range(b.tokens))
    random.Random(b.seed).shuffle(order)
    if c.chance("part", 50):
        order = order[:(len(order) + 1) // 2]
    indices = b.input((None,), "i32", Tensor((len(order),), "i32", array("i", order).tobytes()))
    m = Swiglu(b, "tokens", layer, hidden)
    r = m.route(x)[1]
    z = gathered(b, x, indices, len(order))
    s = m.route(z)[1]
    first, second = gathered(b, m.apply(x, r)[0], indices, len(order)), m.apply(z, s)[0]
    # Which rows depend on rounding is known of the keys of x and z, not of the results' rows.
    b.permutable = b.tokens == 0
    agree(b, first, second)


def properties(b, c):
    c.pick("which", PROPERTIES)(b, c)
