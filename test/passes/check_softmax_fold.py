"""Interprets a router before and after --moe-fold-softmax-top-k, with logits of all kinds, and checks what the pass promises.

Finite rows: equal weights; other experts only where two probabilities are one f64 number (both 0, mostly). Rows with NaN or +inf, and
those of -inf alone: before, all weights are NaN; after, only if a chosen logit makes them so.
"""

import math
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

EXPERTS, CHOICES, ROWS = 8, 3, 4000
INF, NAN = float("inf"), float("nan")
MODEL = """
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 3>
func.func @router(%l: !s) -> (tensor<?x3xi32>, tensor<?x3xf32>) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 3 : !s -> !r
  %n = moe.normalize %g by sum : !r
  %i = moe.indices %n : !r -> tensor<?x3xi32>
  %w = moe.weights %n : !r -> tensor<?x3xf32>
  return %i, %w : tensor<?x3xi32>, tensor<?x3xf32>
}
"""


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def row_of_logits():
    scale = random.choice([1e-20, 1, 30, 300, 1e4, 1e30])
    row = [f32(random.gauss(0, scale)) for _ in range(EXPERTS)]
    kind = random.randrange(8)
    if kind == 0:  # equal ones
        row = [random.choice(row[:3]) for _ in row]
    elif kind == 1:  # masked experts, at times all
        row = [-INF if random.random() < 0.7 else v for v in row]
    elif kind == 2:
        row = [random.choice([v, NAN, INF, -INF, -0.0, 0.0]) for v in row]
    elif kind == 3:
        row[random.randrange(EXPERTS)] = NAN
    elif kind == 4:  # far below one
        row = [f32(v - random.choice([0, 700, 745, 750])) for v in row]
    return row


def write_npy(path, rows):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {EXPERTS}), }}".ljust(117) + "\n"
    data = struct.pack(f"<{len(rows) * EXPERTS}f", *[v for row in rows for v in row])
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def read_npy(path, code):
    data = path.read_bytes()
    begin = 10 + struct.unpack_from("<H", data, 8)[0]
    values = struct.unpack(f"<{(len(data) - begin) // struct.calcsize(code)}{code}", data[begin:])
    return [values[i:i + CHOICES] for i in range(0, len(values), CHOICES)]


def interpret(model, logits, scratch):
    ids, weights = scratch / "ids.npy", scratch / "weights.npy"
    subprocess.run(["moe-interpret", model, "--function=router", f"--input=@{logits}", f"--output=@{ids}", f"--output=@{weights}"],
                   check=True)
    return list(zip(read_npy(ids, "i"), read_npy(weights, "d")))


def softmax(row):
    most = max((v for v in row if v == v), default=-INF)
    powers = [math.exp(v - most) for v in row]
    total = 0.0
    for power in powers:  # sum() rounds less in some versions
        total += power
    return [power / total for power in powers]


def largest(row):
    """Experts in descending order: NaN last, the lower number first where values are equal."""
    return tuple(sorted(range(EXPERTS), key=lambda e: (row[e] != row[e], -row[e] if row[e] == row[e] else 0, e))[:CHOICES])


def check(row, before, after):
    ids, weights = before
    new_ids, new_weights = after
    assert new_ids == largest(row), "experts after"
    chosen = [row[e] for e in new_ids]
    if any(v != v or v == INF for v in row) or max(row) == -INF:
        assert ids == tuple(range(CHOICES)) and all(w != w for w in weights), "before, all is NaN"
        no_number = any(v != v or v == INF for v in chosen) or max(chosen) == -INF
        assert all((w != w) == no_number for w in new_weights), "after, as the chosen say"
        return "nan"
    p = softmax(row)
    assert ids == largest(p), "experts before"
    for i, j, v, w in zip(ids, new_ids, weights, new_weights):
        assert i == j or p[i] == p[j], "other experts only where probabilities are equal"
        assert abs(v - w) <= 1e-13 * v + 1e-322, "weights"
        assert i == j or p[i] > 0 or (v == 0 and w <= 1e-322), "weights of 0"
    return "equal" if ids == new_ids else "underflow" if p[ids[-1]] == 0 else "rounded"


def main():
    random.seed(4)
    rows = [row_of_logits() for _ in range(ROWS)]
    seen = {}
    with tempfile.TemporaryDirectory(prefix="moe-fold-") as folder:
        scratch = pathlib.Path(folder)
        model, folded, logits = scratch / "model.mlir", scratch / "folded.mlir", scratch / "logits.npy"
        model.write_text(MODEL)
        subprocess.run(["moe-opt", "--moe-fold-softmax-top-k", model, "-o", folded], check=True)
        assert "moe.softmax" not in folded.read_text()
        write_npy(logits, rows)
        for row, before, after in zip(rows, interpret(model, logits, scratch), interpret(folded, logits, scratch)):
            try:
                kind = check(row, before, after)
            except AssertionError as error:
                sys.exit(f"{error}: {row}\nbefore {before}\nafter  {after}")
            seen[kind] = seen.get(kind, 0) + 1
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(seen.items())))
    missing = {"equal", "nan", "underflow", "rounded"} - seen.keys()
    return f"no rows of the kind {missing}" if missing else 0


sys.exit(main())
