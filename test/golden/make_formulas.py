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
    types = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64"}
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


def relu2(v):
    return np.maximum(v, 0) ** 2


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


def dynmoe():
    # DynMoE: token t visits every expert with sigmoid(cos(x, w_e)) > sigmoid(threshold_e), or the one with the largest difference; y = their mean.
    r, e, h, i, tokens = Random(8), 6, 16, 24, 23
    r.new("gate.weight", e, h)
    r.new("gate.threshold", e, gain=0.2, mean=0.3)
    for n in range(e):
        r.new(f"experts.{n}.up.weight", i, h)
        r.new(f"experts.{n}.down.weight", h, i)
    r.new("x", tokens, h, gain=h**0.5)
    gates, y = np.zeros((tokens, e)), np.zeros((tokens, h))
    for t, x in enumerate(r["x"]):
        cos = [w @ x / math.sqrt((w @ w) * (x @ x)) for w in r["gate.weight"]]
        above = [sigmoid(c) - sigmoid(b) for c, b in zip(cos, r["gate.threshold"])]
        chosen = [n for n in range(e) if above[n] > 0] or best(above, 1)
        for n in chosen:
            gates[t, n] = 1 / len(chosen)
            y[t] += gates[t, n] * (r[f"experts.{n}.down.weight"] @ relu2(r[f"experts.{n}.up.weight"] @ x))
    return r, {"gates_f64": gates, "counts": (gates > 0).sum(0), "output_f64": y}, "arXiv 2405.14297"


def adamoe():
    # AdaMoE: p = softmax(W x) over 6 true experts and 4 null ones; of the best 4 the true ones, w = p / sum of p; y = sum w_e E_e(x).
    r, h, i = Random(9), 16, 24
    r.new("gate.weight", 10, h)
    for n in range(6):
        for name, shape in (("w1", (i, h)), ("w3", (i, h)), ("w2", (h, i))):
            r.new(f"experts.{n}.{name}.weight", *shape)

    def layer(x):
        p = softmax(r["gate.weight"] @ x)
        chosen = best(p, 4)
        total = sum(p[n] for n in chosen if n < 6)
        w = np.array([p[n] / total if n < 6 else 0 for n in chosen])
        y = np.zeros(h)
        for n, v in zip(chosen, w):
            if n < 6:
                y += v * (r[f"experts.{n}.w2.weight"] @ (silu(r[f"experts.{n}.w1.weight"] @ x) * (r[f"experts.{n}.w3.weight"] @ x)))
        return y, [n if n < 6 else -1 for n in chosen], w

    return r, by_token(r, layer, 23, h), "arXiv 2406.13233"


def m6t():
    # M6-T: experts 4 z ... 4 z + 3 are prototype z; p = softmax(W_z x), the best one; y = sum over z of p E(x).
    r, h, i = Random(10), 16, 24
    r.new("gate.weight", 8, h)
    for n in range(8):
        r.new(f"experts.{n}.up.weight", i, h)
        r.new(f"experts.{n}.down.weight", h, i)

    def layer(x):
        chosen, w = [], []
        for z in range(2):
            p = softmax(r["gate.weight"][4 * z : 4 * z + 4] @ x)
            chosen.append(4 * z + best(p, 1)[0])
            w.append(p.max())
        return w @ np.stack([r[f"experts.{n}.down.weight"] @ gelu_tanh(r[f"experts.{n}.up.weight"] @ x) for n in chosen]), chosen, np.array(w)

    return r, by_token(r, layer, 23, h), "arXiv 2105.15082"


def autonomy_of_experts():
    # Autonomy of experts: c_e = D_e x; the 2 experts of largest |c_e|, w = softmax over the chosen; y = sum w_e O_e (silu(U_e c_e) * V_e x).
    r, e, h, d, i = Random(11), 6, 16, 4, 24
    for n in range(e):
        for name, shape in (("gate_down", (d, h)), ("gate_up", (i, d)), ("up", (i, h)), ("down", (h, i))):
            r.new(f"experts.{n}.{name}.weight", *shape)

    def layer(x):
        c = [r[f"experts.{n}.gate_down.weight"] @ x for n in range(e)]
        norm = [math.sqrt(v @ v) for v in c]
        chosen = best(norm, 2)
        w = softmax(np.array([norm[n] for n in chosen]))
        return w @ [r[f"experts.{n}.down.weight"] @ (silu(r[f"experts.{n}.gate_up.weight"] @ c[n]) * (r[f"experts.{n}.up.weight"] @ x)) for n in chosen], chosen, w

    return r, by_token(r, layer, 23, h), "arXiv 2501.13074"


def mixture_of_tokens():
    # Mixture of tokens: in every group, w_te = softmax over t of (W x_t)_e; m_e = sum over t of w_te x_t; y_t = sum over e of w_te E_e(m_e).
    r, e, h, i = Random(12), 8, 16, 24
    r.new("controller.weight", e, h)
    for n in range(e):
        r.new(f"experts.{n}.up.weight", i, h)
        r.new(f"experts.{n}.down.weight", h, i)
    group = np.array([3, 0, 0, 1, 3, 0, 1, 3, 3, 0, 1, 0, 3, 1, 1, 0, 0, 3, 1], np.int32)  # nobody is in group 2
    r.new("x", len(group), h, gain=h**0.5)
    y = np.zeros((len(group), h))
    for one in set(group):
        rows = [t for t in range(len(group)) if group[t] == one]
        for n in range(e):
            w = softmax(np.array([r["controller.weight"][n] @ r["x"][t] for t in rows]))
            mix = w @ [r["x"][t] for t in rows]
            made = r[f"experts.{n}.down.weight"] @ np.maximum(r[f"experts.{n}.up.weight"] @ mix, 0)
            for t, v in zip(rows, w):
                y[t] += v * made
    return r, {"group": group, "output_f64": y}, "arXiv 2310.15961"


def residual_moe():
    # Residual MoE: p = softmax(W x), c = softmax(C x + b); y = c_0 p_e E_e(x) + c_1 MLP(x), with the best e; an MLP is B gelu(A x + a) + b.
    r, e, h, i = Random(13), 4, 16, 24
    r.new("gate.wg.weight", e, h)
    r.new("coefficient.weight", 2, h)
    r.new("coefficient.bias", 2)
    names = [f"experts.{n}" for n in range(e)] + ["mlp"]
    for name in names:
        r.new(f"{name}.dense_h_to_4h.weight", i, h)
        r.new(f"{name}.dense_h_to_4h.bias", i, gain=0.3)
        r.new(f"{name}.dense_4h_to_h.weight", h, i)
        r.new(f"{name}.dense_4h_to_h.bias", h, gain=0.3)
    r.new("x", 23, h, gain=h**0.5)

    def mlp(name, x):
        hidden = gelu_tanh(r[f"{name}.dense_h_to_4h.weight"] @ x + r[f"{name}.dense_h_to_4h.bias"])
        return r[f"{name}.dense_4h_to_h.weight"] @ hidden + r[f"{name}.dense_4h_to_h.bias"]

    def layer(x):
        p, c = softmax(r["gate.wg.weight"] @ x), softmax(r["coefficient.weight"] @ x + r["coefficient.bias"])
        n = best(p, 1)[0]
        return c[0] * p[n] * mlp(names[n], x) + c[1] * mlp("mlp", x)

    return r, {"output_f64": np.stack([layer(x) for x in r["x"]])}, "arXiv 2201.05596; DeepSpeed deepspeed/moe/layer.py"


def main():
    makers = (grok, kimi_k3, hmoe, peer, multi_hash, hash_tables, mixture_of_depths)
    makers += (dynmoe, adamoe, m6t, autonomy_of_experts, mixture_of_tokens, residual_moe)
    for make in makers:
        r, results, source = make()
        write(pathlib.Path(sys.argv[1]) / make.__name__ / "golden.safetensors", r.tensors | results, source)


main()
