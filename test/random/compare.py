"""Whether results are right: what the oracle says, and how far a correct backend may be from it.

The oracle computes in f64 without rounding. How far rounding may move a result is measured, not guessed: the same program
runs with noise of the size of each operation's worst rounding error (builder.py), NOISES times with other signs. `deviation`
is the largest move in a row (of one token, or of one expert). Allowed is SAFETY times the deviation of the row, where rows
that happened to move little are given the median relative deviation of all rows, plus two roundings to the result's type.

Chosen experts are compared exactly, except for tokens where two of the first k + 1 keys are nearer than the keys'
own deviation (an equal pair is exact: noise keeps equal values equal). After --moe-fold-softmax-top-k alone, also except for tokens
for which softmax -> top k and top k -> softmax differ: keys that are all NaN, and probabilities that are equal although their logits
are not. Ids of excepted tokens need only be distinct and in range.
"""

import math
import statistics
from dataclasses import dataclass, field

from builder import UNIT

NOISES = 4
SAFETY = 8
INF = float("inf")


def distance(a, b):
    if a == b or (a != a and b != b):
        return 0.0
    d = abs(a - b)
    return d if d == d else INF


def rows_of(shape):
    """(number of rows, elements of a row)"""
    count = shape[0] if shape else 1
    return count, (math.prod(shape[1:]) if shape else 1)


@dataclass
class Expected:
    """The oracle's results of one program, and what may differ."""

    program: object
    exact: dict
    noisy: list
    unclear: set = field(default_factory=set)  # tokens whose experts depend on rounding
    unfolded: set = field(default_factory=set)  # tokens for which the fold of softmax and top k differs

    def __post_init__(self):
        first, states = len(self.program.results), len(self.program.results) + len(self.program.keys)
        logits = states + len(self.program.states)
        for i, (key, choices) in enumerate(self.program.keys):
            are_probabilities = key.name in self.program.probabilities
            self.find_ties(first + i, choices, logits if are_probabilities else None)
            logits += are_probabilities
        for i in range(states, states + len(self.program.states), 3):
            self.find_changes(i)

    def find_changes(self, first):
        """Tokens whose pairs (results `first` to `first` + 2: experts, tokens, slots) are others when there is noise."""
        def by_token(results):
            found = {}
            for expert, token, slot in zip(*(results[first + i][1] for i in range(3))):
                found.setdefault(token, set()).add((expert, slot))
            return found

        exact = by_token(self.exact)
        for noisy in map(by_token, self.noisy):
            self.unclear |= {int(t) for t in exact.keys() | noisy.keys() if exact.get(t) != noisy.get(t)}

    def find_ties(self, result, choices, logits):
        shape, keys = self.exact[result]
        count, width = rows_of(shape)
        for t in range(count):
            row = keys[t * width:(t + 1) * width]
            noisy = [n[result][1][t * width:(t + 1) * width] for n in self.noisy]
            if all(v != v for v in row):
                if logits is not None and not all(v != v for v in self.exact[logits][1][t * width:(t + 1) * width]):
                    self.unfolded.add(t)
                continue
            if any((a != a) != (b != b) for n in noisy for a, b in zip(row, n)):
                self.unclear.add(t)
                continue
            error = [SAFETY * max(distance(n[e], row[e]) for n in noisy) for e in range(width)]
            order = sorted(range(width), key=lambda e: (row[e] != row[e], -row[e] if row[e] == row[e] else 0, e))
            # Neighbours in the order, and all that rounding may make equal to the last one that is chosen.
            neighbours = list(zip(order[:choices], order[1:choices + 1]))
            for a, b in neighbours + [(order[choices - 1], e) for e in order[choices + 1:]]:
                if row[b] != row[b]:
                    break
                if row[a] == row[b] and all(n[a] == n[b] for n in noisy):
                    before = self.exact[logits][1][t * width:(t + 1) * width] if logits is not None else row
                    if before[a] != before[b]:
                        self.unfolded.add(t)
                    continue
                if distance(row[a], row[b]) <= error[a] + error[b]:
                    self.unclear.add(t)

    def doubtful(self, folded):
        return self.unclear | self.unfolded if folded else self.unclear

    def allowed(self, result):
        """For each row the allowed difference of its elements (infinite: nothing is known), without rounding of the result."""
        shape, exact = self.exact[result]
        count, width = rows_of(shape)
        moves, sizes = [], []
        for r in range(count):
            span = range(r * width, (r + 1) * width)
            moves.append(max((distance(n[result][1][i], exact[i]) for n in self.noisy for i in span), default=0.0))
            sizes.append(max((abs(exact[i]) for i in span if math.isfinite(exact[i])), default=0.0))
        relative = [m / s for m, s in zip(moves, sizes) if s and math.isfinite(m)]
        typical = statistics.median(relative) if relative else 0.0
        return [SAFETY * max(m, typical * s) for m, s in zip(moves, sizes)]


def compare(expected, number, shape, got, statistics_of=None, folded=False):
    """None, or what is wrong with result `number`, after --moe-fold-softmax-top-k or without it."""
    program, doubtful = expected.program, expected.doubtful(folded)
    value, role = program.results[number]
    wanted_shape, wanted = expected.exact[number]
    if tuple(shape) != tuple(wanted_shape):
        return f"result {number} ({role}) has shape {tuple(shape)}, expected {tuple(wanted_shape)}"
    count, width = rows_of(wanted_shape)
    if role in ("ids", "slots"):
        if doubtful and not program.permutable:
            return None
        return compare_ids(expected, number, count, width, wanted, got, doubtful)
    per_token = role in ("rows", "weights")
    if doubtful and not (per_token and program.permutable):
        return None
    if role == "counts":
        wanted = [int(v) for v in wanted]
        return None if list(got) == wanted else f"result {number} (counts) is {list(got)}, expected {wanted}"
    allowed = expected.allowed(number)
    unit = UNIT[value.dtype]
    for r in range(count):
        if (per_token and r in doubtful) or allowed[r] == INF:
            continue
        for i in range(r * width, (r + 1) * width):
            error = distance(got[i], wanted[i])
            limit = allowed[r] + 2 * unit * abs(wanted[i]) + 1e-37
            if wanted[i] != wanted[i]:
                if math.isfinite(got[i]):
                    return f"result {number} ({role}) [{r}, {i - r * width}] is {got[i]}, expected NaN"
            elif not error <= limit:
                return (f"result {number} ({role}) [{r}, {i - r * width}] is {got[i]}, expected {wanted[i]}: "
                        f"difference {error:.3g}, allowed {limit:.3g}")
            elif statistics_of is not None and limit and limit < 1e30:
                statistics_of.append(error / limit)
    return None


def compare_ids(expected, number, count, width, wanted, got, doubtful):
    experts, role = int(expected.program.experts_of[number]), expected.program.results[number][1]
    for t in range(count):
        row = [int(v) for v in got[t * width:(t + 1) * width]]
        right = [int(v) for v in wanted[t * width:(t + 1) * width]]
        some = [e for e in row if e >= 0] if role == "slots" else row
        if len(set(some)) != len(some) or min(row) < (-1 if role == "slots" else 0) or max(row) >= experts:
            return f"experts of token {t} are {row}, expected distinct ones of {experts}"
        if row != right and t not in doubtful:
            return f"experts of token {t} are {row}, expected {right}"
    return None


def compare_equal(expected, number, other, values):
    """Results that are equal by a property of mixtures: `values` maps a result to its elements."""
    program = expected.program
    shape, wanted = expected.exact[number]
    count, width = rows_of(shape)
    if expected.unclear and not program.permutable:
        return None
    allowed = [a + b for a, b in zip(expected.allowed(number), expected.allowed(other))]
    unit = 4 * UNIT.get(program.results[number][0].dtype, 0.0)
    for r in range(count):
        if r in expected.unclear or allowed[r] == INF:
            continue
        for i in range(r * width, (r + 1) * width):
            a, b = values[number][i], values[other][i]
            if distance(a, b) > allowed[r] + unit * abs(wanted[i]) + 1e-37:
                return f"results {number} and {other} must agree, but [{r}, {i - r * width}] is {a} and {b}"
    return None
