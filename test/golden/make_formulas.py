"""Computes the layers of systems without a program that could be run here from their published formulas, in f64.

usage: make_formulas.py FOLDER    (needs numpy; writes FOLDER/NAME/golden.safetensors)

Weights and inputs are random f32, everything else is computed in f64 by the formula in the function's first comment, token by
token, which is another way than any of this project's code takes.
"""

import json
import math
import pathlib
import struct
import sys

import numpy as np


def write(path, tensors, source):
    types = {"float32": "F32", "float64": "F64", "int64": "I64"}
    header, data = {"__metadata__": {"source": source}}, b""
    for name, value in tensors.items():
        value = np.ascontiguousarray(value)
        end = len(data) + value.nbytes
        header[name] = {"dtype": types[value.dtype.name], "shape": value.shape, "data_offsets": [len(data), end]}
        data += value.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Random:
    """Random f32 tensors by name; `[name]` is one of them in f64."""

    def __init__(self, seed):
        self.generator, self.tensors = np.random.default_rng(seed), {}

    def new(self, name, *shape, gain=1.3, mean=0.0):
        scale = gain / shape[-1] ** 0.5 if len(shape) > 1 else gain
        self.tensors[name] = (mean + scale * self.generator.standard_normal(shape)).astype(np.float32)

    def __getitem__(self, name):
        return self.tensors[name].astype(np.float64)


def softmax(v):
    e = np.exp(v - v.max())
    return e / e.sum()


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def silu(v):
    return v * sigmoid(v)


def gelu_tanh(v):
    return v / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3)))


def best(key, k):
    return sorted(range(len(key)), key=lambda e: (-key[e], e))[:k]


def by_token(r, layer, tokens, hidden):
    """Runs `layer` on every row of a random x; it returns the output, the experts and their weights."""
    r.new("x", tokens, hidden, gain=hidden**0.5)
    rows = [layer(x) for x in r["x"]]
    return {"output_f64": np.stack([y for y, _, _ in rows]), "indices": np.array([e for _, e, _ in rows]), "weights_f64": np.stack([w for _, _, w in rows])}


def grok():
    # Grok-1: p = softmax(30 tanh(W x / 30)); the best 2, w = p / sum of p; y = sum w_e W2_e (gelu(W1_e x) * V_e x).
    r, e, h, i = Random(1), 8, 32, 24
    r.new("gate.weight", e, h, gain=10.0)
    for n in range(e):
        for name, shape in (("linear", (i, h)), ("linear_v", (i, h)), ("linear_1", (h, i))):
            r.new(f"experts.{n}.{name}.weight", *shape)

    def layer(x):
        p = softmax(30 * np.tanh(r["gate.weight"] @ x / 30))
        chosen = best(p, 2)
        w = p[chosen] / p[chosen].sum()
        ys = [r[f"experts.{n}.linear_1.weight"] @ (gelu_tanh(r[f"experts.{n}.linear.weight"] @ x) * (r[f"experts.{n}.linear_v.weight"] @ x)) for n in chosen]
        return w @ ys, chosen, w

    return r, by_token(r, layer, 13, h), "xai-org/grok-1 model.py; the cap of the logits as vLLM's grok1.py has it"


def kimi_k3():
    # Kimi K3: s = sigmoid(W x); the best 4 of s + b, w = s / sum of s; z = D x; y = U rms_norm(sum w_e f_e(z)) + shared(x),
    # where f(v) = W2 (4 tanh(g / 4) sigmoid(g) * 25 tanh(u / 25)), g = W1 v, u = W3 v.
    r, e, h, z, i, k = Random(2), 16, 32, 16, 24, 4
    r.new("gate.weight", e, h, gain=2.0)
    r.new("gate.e_score_correction_bias", e, gain=0.3)
    r.new("routed_expert_down_proj.weight", z, h)
    r.new("routed_expert_up_proj.weight", h, z)
    r.new("routed_expert_norm.weight", z, gain=0.2, mean=1.0)
    # Large enough that 4 tanh(g / 4) and 25 tanh(u / 25) both bend.
    for n in range(e):
        r.new(f"experts.{n}.w1.weight", i, z, gain=4.0)
        r.new(f"experts.{n}.w3.weight", i, z, gain=12.0)
        r.new(f"experts.{n}.w2.weight", z, i)
    r.new("shared_experts.gate_proj.weight", 2 * i, h, gain=4.0)
    r.new("shared_experts.up_proj.weight", 2 * i, h, gain=12.0)
    r.new("shared_experts.down_proj.weight", h, 2 * i)

    def situ_glu(v, gate, up, down):
        g, u = r[gate] @ v, r[up] @ v
        return r[down] @ (4 * np.tanh(g / 4) * sigmoid(g) * 25 * np.tanh(u / 25))

    def layer(x):
        s = sigmoid(r["gate.weight"] @ x)
        chosen = best(s + r["gate.e_score_correction_bias"], k)
        w = s[chosen] / s[chosen].sum()
        latent = r["routed_expert_down_proj.weight"] @ x
        total = w @ [situ_glu(latent, *(f"experts.{n}.{name}.weight" for name in ("w1", "w3", "w2"))) for n in chosen]
        normed = total / np.sqrt((total**2).mean() + 1e-5) * r["routed_expert_norm.weight"]
        shared = situ_glu(x, *(f"shared_experts.{name}_proj.weight" for name in ("gate", "up", "down")))
        return r["routed_expert_up_proj.weight"] @ normed + shared, chosen, w

    return r, by_token(r, layer, 13, h), "moonshotai/Kimi-K3"


def hmoe():
    # HMoE: experts of widths 8, 8, 16, 16, 24, 24; p = softmax(W x); the best 2, w = p / sum of p; y = sum w_e W2_e (silu(W1_e x) * W3_e x).
    r, h, widths = Random(3), 32, (8, 8, 16, 16, 24, 24)
    r.new("gate.weight", len(widths), h, gain=2.0)
    for n, i in enumerate(widths):
        for name, shape in (("w1", (i, h)), ("w3", (i, h)), ("w2", (h, i))):
            r.new(f"experts.{n}.{name}.weight", *shape)

    def layer(x):
        p = softmax(r["gate.weight"] @ x)
        chosen = best(p, 2)
        w = p[chosen] / p[chosen].sum()
        return w @ [r[f"experts.{n}.w2.weight"] @ (silu(r[f"experts.{n}.w1.weight"] @ x) * (r[f"experts.{n}.w3.weight"] @ x)) for n in chosen], chosen, w

    return r, by_token(r, layer, 16, h), "arXiv 2408.10681"


def peer():
    # PEER: q1 = W1 x, q2 = W2 x; the score of expert 4 i + j is q1 . k1_i + q2 . k2_j; the best 3, w = softmax over the chosen;
    # y = sum w_e gelu(u_e . x) v_e, with the exact gelu.
    r, h, d, keys = Random(4), 32, 8, 4
    for half in range(2):
        r.new(f"query.{half}.weight", d, h)
        r.new(f"keys.{half}", keys, d, gain=2.0)
    for n in range(keys**2):
        r.new(f"experts.{n}.u", 1, h)
        r.new(f"experts.{n}.v", h, 1)

    def layer(x):
        halves = [r[f"keys.{half}"] @ (r[f"query.{half}.weight"] @ x) for half in range(2)]
        score = [a + b for a in halves[0] for b in halves[1]]
        chosen = best(score, 3)
        w = softmax(np.array([score[n] for n in chosen]))
        hidden = [float((r[f"experts.{n}.u"] @ x)[0]) for n in chosen]
        return w @ [v / 2 * (1 + math.erf(v / math.sqrt(2))) * r[f"experts.{n}.v"][:, 0] for n, v in zip(chosen, hidden)], chosen, w

    return r, by_token(r, layer, 16, h), "arXiv 2407.04153"


def multi_hash():
    # MultiHash: experts k1, k2 of an id by two tables; v = relu([A_k1 x; A_k2 x]), y = [B_k1 v; B_k2 v].
    r, e, h, i, ids = Random(5), 6, 16, 24, 50
    r.new("up", e, i // 2, h)
    r.new("down", e, h // 2, i)
    tables = r.generator.integers(0, e, (ids, 2))
    tokens = r.generator.integers(0, ids, 20)
    r.new("x", len(tokens), h, gain=h**0.5)

    def layer(x, k):
        v = np.maximum(np.concatenate([r["up"][n] @ x for n in k]), 0)
        return np.concatenate([r["down"][n] @ v for n in k])

    y = np.stack([layer(x, tables[t]) for x, t in zip(r["x"], tokens)])
    return r, {"tables": tables, "ids": tokens, "output_f64": y}, "arXiv 2106.04426, section 3.3"


def hash_tables():
    # Clustered hash: the nearest of 8 centroids. Dispersed hash: the ids of cluster 0, then those of 1, ..., are dealt to 8 experts in turn.
    r, e, h, ids = Random(6), 8, 16, 24
    r.new("centroids", e, h, gain=h**0.5)
    r.new("embeddings", ids, h, gain=h**0.5)
    r.tensors["embeddings"] += 2 * r.tensors["centroids"][r.generator.integers(0, e, ids)]
    near = np.array([min(range(e), key=lambda c: ((x - r["centroids"][c]) ** 2).sum()) for x in r["embeddings"]])
    dealt = np.zeros_like(near)
    for turn, t in enumerate(sorted(range(ids), key=lambda t: (near[t], t))):
        dealt[t] = turn % e
    return r, {"clustered": near[:, None], "dispersed": dealt[:, None]}, "arXiv 2106.04426, section 3.2"


def mixture_of_depths():
    # Inference of Mixture-AI/Mixture-of-Depths: tokens with a . x + b > 0 become (w . x + c) * block(tokens), where block is a causal
    # attention with one head and then a ReLU MLP, each added to its input; the others stay.
    r, h, sequences, length = Random(7), 16, 2, 20
    for name in ("wq", "wk", "wv", "w1", "w2"):
        r.new(name, h, h)
    for name in ("w_router", "w_aux"):
        r.new(name, h, gain=h**-0.5)
    for name in ("b_router", "b_aux"):
        r.new(name, 1, gain=0.3)
    r.new("x", sequences * length, h, gain=h**0.5)
    y = r["x"].copy()
    for sequence in range(sequences):
        chosen = [t for t in range(sequence * length, (sequence + 1) * length) if r["w_aux"] @ r["x"][t] + r["b_aux"][0] > 0]
        for n, t in enumerate(chosen):
            x, before = r["x"][t], r["x"][chosen[: n + 1]]
            p = softmax(np.array([(x @ r["wq"]) @ (s @ r["wk"]) / h**0.5 for s in before]))
            a = x + p @ (before @ r["wv"])
            y[t] = (a + np.maximum(a @ r["w1"], 0) @ r["w2"]) * (r["w_router"] @ x + r["b_router"][0])
    return r, {"output_f64": y}, "Mixture-AI/Mixture-of-Depths MoD/MoD.py"


def main():
    for make in (grok, kimi_k3, hmoe, peer, multi_hash, hash_tables, mixture_of_depths):
        r, results, source = make()
        write(pathlib.Path(sys.argv[1]) / make.__name__ / "golden.safetensors", r.tensors | results, source)


main()
