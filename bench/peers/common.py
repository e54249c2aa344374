"""What every peer has in common: its shape and weights, a numpy reference, and how it talks to run.py.

A peer is a program `PEER.py VARIANT` that calls `serve`. It reads one JSON object a line and answers each with one:
{"do": "load", "shape": [H, F, E, k], "dtype": D, "threads": N} makes random weights, {"do": "check", ...} answers with the
largest difference to the reference, {"do": "time", "tokens": T, "seconds": S} with the milliseconds of a call.
"""

import json
import os
import statistics
import sys
import time

import numpy as np


class Weights:
    """Numbers of a layer: `router` [E, H], and of all experts `gate`, `up` [E, F, H] and `down` [E, H, F], f32.

    Large ones repeat one block of prime length, so that no two experts are alike; each access makes a new array.
    """

    def __init__(self, shape, seed=1):
        self.hidden, self.inner, self.experts, self.choices = shape
        self.block = np.random.default_rng(seed).standard_normal(1_048_573, np.float32) / np.sqrt(np.float32(self.hidden))

    def _take(self, start, *sizes):
        count = int(np.prod(sizes))
        return np.resize(np.roll(self.block, -start), count).reshape(sizes)

    @property
    def router(self):
        return self._take(0, self.experts, self.hidden)

    @property
    def gate(self):
        return self._take(1001, self.experts, self.inner, self.hidden)

    @property
    def up(self):
        return self._take(20011, self.experts, self.inner, self.hidden)

    @property
    def down(self):
        return self._take(300007, self.experts, self.hidden, self.inner)


def reference(weights, rows, router=None):
    """The layer in f64: softmax, the k largest, divided by their sum; SwiGLU experts; weighted sum."""
    rows = rows.astype(np.float64)
    logits = rows @ weights.router.astype(np.float64).T
    scores = np.exp(logits - logits.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    chosen = np.argsort(-scores, axis=-1, kind="stable")[:, : weights.choices]
    gate, up, down = (w.astype(np.float64) for w in (weights.gate, weights.up, weights.down))
    result = np.zeros_like(rows)
    for token, experts in enumerate(chosen):
        total = scores[token, experts].sum()
        for expert in experts:
            a = gate[expert] @ rows[token]
            hidden = a / (1 + np.exp(-a)) * (up[expert] @ rows[token])
            result[token] += scores[token, expert] / total * (down[expert] @ hidden)
    return result


def rows_of(tokens, hidden, seed=0):
    return np.random.default_rng(1000 * tokens + seed).standard_normal((tokens, hidden), np.float32)


def difference(peer_class, dtype, threads, variant):
    """Largest difference to the reference at a small shape, over the largest element of the result."""
    weights = Weights((256, 512, 8, 2), seed=3)
    peer = peer_class(weights, dtype, threads, variant)
    worst = 0.0
    for tokens in (1, 7, 33):
        rows = rows_of(tokens, weights.hidden)
        got = np.asarray(peer.output(peer.run(peer.input(rows))), np.float64).reshape(rows.shape)
        wanted = reference(weights, rows)
        worst = max(worst, float(np.abs(got - wanted).max() / np.abs(wanted).max()))
    return worst


def time_calls(peer, inputs, seconds):
    """Median milliseconds of calls that take `seconds` together, at least 3; the inputs take turns."""
    peer.run(inputs[0])
    taken, begin = [], time.perf_counter()
    while len(taken) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        peer.run(inputs[(len(taken) + 1) % len(inputs)])
        taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken)


def serve(peer_class):
    """`peer_class(weights, dtype, threads, variant)` has `input(rows)`, `run(input)` and `output(result)`."""
    variant = sys.argv[1] if len(sys.argv) > 1 else ""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    peer, inputs = None, {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "check":
                answer = {"difference": difference(peer_class, request["dtype"], request["threads"], variant)}
            elif request["do"] == "load":
                weights = Weights(request["shape"])
                peer, inputs = peer_class(weights, request["dtype"], request["threads"], variant), {}
                answer = {"loaded": True}
            else:
                tokens = request["tokens"]
                if tokens not in inputs:
                    count = 8 if tokens <= 32 else 1
                    inputs[tokens] = [peer.input(rows_of(tokens, weights.hidden, i)) for i in range(count)]
                answer = {"ms": time_calls(peer, inputs[tokens], request["seconds"])}
        except Exception as error:  # a peer may fail in any way
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
