"""Which constructs of the language random programs have, in how many of them."""

import re

CONSTRUCTS = {
    **{f"select {n}": rf"moe\.route [^:]* {n} " for n in ("top", "take", "greater_than", "at_least", "top_p", "nonzero", "all")},
    "select lookup": r"moe\.lookup", "select from_indices": r"moe\.from_indices", "select assign": r"moe\.assign",
    "select by a key": r"moe\.route %\w+ by", "select in groups": r" groups \d", "take of segments": r"take %\w+ segments",
    "threshold from outside": r"(?:greater_than|at_least|top_p) %",
    **{f"normalize {n}": rf"moe\.normalize %\w+ by {n}" for n in ("sum", "softmax", "lp")},
    "a routing in a branch": r"scf\.if [^\n]*moe\.routing", "a routing in a loop": r"scf\.for [^\n]*moe\.routing",
    "scale": r"moe\.scale", "with_weights": r"moe\.with_weights", "keep": r"moe\.keep", "join": r"moe\.join",
    **{f"limit {n}": rf"moe\.limit [^:]* order {n} (?!by)" for n in ("position", "choice", "token_choice", "weight")},
    "limit by a tensor": r"moe\.limit [^:]* order %", "limit choice by": r" order choice by", "limit token_choice by": r" order token_choice by",
    "next_choice": r"next_choice", "limit of segments": r"moe\.limit [^:]* segments",
    **{f"capacity {n}": rf"moe\.capacity %\w+ by {n} " for n in
       ("mesh", "flaxformer", "megablocks", "deepspeed", "megatron", "tutel", "vmoe", "vmoe_expert_choice", "soft_moe")},
    **{f"random {n}": rf"moe\.random {n}" for n in ("uniform", "normal", "gumbel")},
    **{n: rf"moe\.{n} " for n in ("to_matrix", "indices", "weights", "counts", "importance", "pairs", "tokens", "segment_size",
                                  "balance_loss", "z_loss", "cv_squared", "noisy_load", "dispatch", "expert", "combine", "softmax",
                                  "rms_norm", "linear", "gather")},
    "several ranges of experts": r"range 1?\d", "weighted dispatch": r"moe\.dispatch [^:]* weighted", "two layers or routers": r'moe\.param %m "p\d+\.(?:b|layer1)\.',
    "bf16 or f16 rows": r"tensor<\?x\d+xb?f16>",
}


class Coverage:
    def __init__(self):
        self.found = dict.fromkeys(CONSTRUCTS, 0)

    def add(self, text):
        for name, pattern in CONSTRUCTS.items():
            self.found[name] += bool(re.search(pattern, text))

    def __str__(self):
        return "\n".join(f"{count:6} {name}" for name, count in self.found.items())
