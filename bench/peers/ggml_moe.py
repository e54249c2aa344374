"""ggml, or ik_llama.cpp's form of it, from a build whose folder is given: the graph that llama.cpp makes of a layer.

usage: ggml_moe.py VARIANT BUILD
"""

import ctypes
import pathlib
import sys

import numpy as np
from common import serve

TYPES = {"f32": 0, "q4": 2, "q8": 8, "bf16": 30}  # ggml_type: F32, Q4_0, Q8_0, BF16
P, I64, INT, SIZE = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_size_t
SIGNATURES = {
    "ggml_new_tensor_2d": (P, P, INT, I64, I64),
    "ggml_new_tensor_3d": (P, P, INT, I64, I64, I64),
    "ggml_get_data": (P, P),
    "ggml_nbytes": (SIZE, P),
    "ggml_row_size": (SIZE, INT, I64),
    "ggml_mul_mat": (P, P, P, P),
    "ggml_mul_mat_id": (P, P, P, P, P),
    "ggml_soft_max": (P, P, P),
    "ggml_top_k": (P, P, P, INT),
    "ggml_argsort_top_k": (P, P, P, INT),
    "ggml_get_rows": (P, P, P, P),
    "ggml_reshape_2d": (P, P, P, I64, I64),
    "ggml_reshape_3d": (P, P, P, I64, I64, I64),
    "ggml_view_2d": (P, P, P, I64, I64, SIZE, SIZE),
    "ggml_sum_rows": (P, P, P),
    "ggml_div": (P, P, P, P),
    "ggml_mul": (P, P, P, P),
    "ggml_add": (P, P, P, P),
    "ggml_silu": (P, P, P),
    "ggml_swiglu_split": (P, P, P, P),
    "ggml_moe_up_gate": (P, P, P, P, P, P, INT),
    "ggml_cont": (P, P, P),
    "ggml_new_graph": (P, P),
    "ggml_build_forward_expand": (None, P, P),
    "ggml_graph_compute": (INT, P, P),
    "ggml_quantize_chunk": (SIZE, INT, P, P, I64, I64, I64, P),
    "ggml_fp32_to_bf16_row": (None, P, P, I64),
    "ggml_free": (None, P),
}


class InitParams(ctypes.Structure):
    _fields_ = [("mem_size", SIZE), ("mem_buffer", P), ("no_alloc", ctypes.c_bool)]


class Plan(ctypes.Structure):
    """Of either program, whose fields after these differ."""

    _fields_ = [("work_size", SIZE), ("work_data", P), ("n_threads", INT), ("rest", P * 8)]


class Library:
    """All functions of the build's shared libraries, by name; a function that it lacks is None."""

    def __init__(self, folder):
        found = {}
        for path in sorted(pathlib.Path(folder).rglob("libggml*.so")):
            found.setdefault(path.name, path)
        if not found:
            raise FileNotFoundError(f"{folder}: has no libggml*.so")
        order = sorted(found.values(), key=lambda path: (path.name != "libggml-base.so", path.name != "libggml-cpu.so"))
        libraries = [ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL) for path in order]
        for name, (result, *arguments) in SIGNATURES.items():
            function = next((getattr(l, name) for l in libraries if hasattr(l, name)), None)
            if function:
                function.restype, function.argtypes = result, arguments
            setattr(self, name.removeprefix("ggml_"), function)
        self.init = next(l.ggml_init for l in libraries if hasattr(l, "ggml_init"))
        self.init.restype, self.init.argtypes = P, [InitParams]
        self.plan = next(l.ggml_graph_plan for l in libraries if hasattr(l, "ggml_graph_plan"))
        self.plan.restype, self.plan.argtypes = Plan, [P, INT, P]

    def context(self, size):
        return self.init(InitParams(size, None, False))


class Peer:
    def __init__(self, weights, dtype, threads, variant):
        self.ggml = Library(sys.argv[2])
        self.weights, self.threads = weights, threads
        self.type = TYPES[dtype]
        numbers = weights.experts * (3 * weights.inner + 1) * weights.hidden
        self.context = self.ggml.context(int(numbers * self.ggml.row_size(self.type, 1024) / 1024 * 1.05) + (64 << 20))
        self.graphs = {}
        self.gate = self.tensor(weights.gate, self.type)
        self.up = self.tensor(weights.up, self.type)
        self.down = self.tensor(weights.down, self.type)
        self.router = self.tensor(weights.router[None], TYPES["f32"])

    def tensor(self, values, kind):
        """[outer, rows, columns], converted a matrix at a time."""
        outer, rows, columns = values.shape
        tensor = self.ggml.new_tensor_3d(self.context, kind, columns, rows, outer)
        data, step = self.ggml.get_data(tensor), rows * self.ggml.row_size(kind, columns)
        for i, matrix in enumerate(values):
            source = np.ascontiguousarray(matrix, np.float32)
            if kind == TYPES["f32"]:
                ctypes.memmove(data + i * step, source.ctypes.data, step)
            elif kind == TYPES["bf16"]:
                self.ggml.fp32_to_bf16_row(source.ctypes.data, data + i * step, source.size)
            else:
                self.ggml.quantize_chunk(kind, source.ctypes.data, data + i * step, 0, rows, columns, None)
        return tensor

    def build(self, tokens):
        """The graph for a number of tokens: (its input's data, its result's data, graph, plan, what must live)."""
        g, w = self.ggml, self.weights
        slots = tokens * w.choices
        c = g.context(4 * slots * (4 * w.inner + 4 * w.hidden) + 4 * tokens * (4 * w.experts + 8 * w.hidden * w.choices) + (64 << 20))
        x = g.new_tensor_2d(c, TYPES["f32"], w.hidden, tokens)
        scores = g.soft_max(c, g.mul_mat(c, self.router, x))
        top_k = g.argsort_top_k or g.top_k
        chosen = top_k(c, scores, w.choices)
        weights = g.get_rows(c, g.reshape_3d(c, scores, 1, w.experts, tokens), chosen)
        weights = g.reshape_2d(c, weights, w.choices, tokens)
        weights = g.reshape_3d(c, g.div(c, weights, g.sum_rows(c, weights)), 1, w.choices, tokens)
        rows = g.reshape_3d(c, x, w.hidden, 1, tokens)
        if g.moe_up_gate:
            hidden = g.moe_up_gate(c, self.up, self.gate, rows, chosen, 10)  # GGML_UNARY_OP_SILU of ik_llama.cpp
        else:
            gate, up = g.mul_mat_id(c, self.gate, rows, chosen), g.mul_mat_id(c, self.up, rows, chosen)
            hidden = g.swiglu_split(c, gate, up) if g.swiglu_split else g.mul(c, g.silu(c, gate), up)
        results = g.mul(c, g.mul_mat_id(c, self.down, hidden, chosen), weights)
        total = None
        for i in range(w.choices):
            view = g.view_2d(c, results, w.hidden, tokens, 4 * w.hidden * w.choices, 4 * w.hidden * i)
            total = view if total is None else g.add(c, total, view)
        if w.choices == 1:
            total = g.cont(c, total)
        graph = g.new_graph(c)
        g.build_forward_expand(graph, total)
        plan = g.plan(graph, self.threads, None)
        work = ctypes.create_string_buffer(plan.work_size + 64)
        plan.work_data = ctypes.addressof(work)
        return g.get_data(x), g.get_data(total), graph, plan, work

    def input(self, rows):
        tokens = len(rows)
        if tokens not in self.graphs:
            self.graphs[tokens] = self.build(tokens)
        return np.ascontiguousarray(rows, np.float32)

    def run(self, rows):
        source, result, graph, plan, _ = self.graphs[len(rows)]
        ctypes.memmove(source, rows.ctypes.data, rows.nbytes)
        status = self.ggml.graph_compute(graph, ctypes.byref(plan))
        if status != 0:
            raise RuntimeError(f"ggml_graph_compute: status {status}")
        return (ctypes.c_float * rows.size).from_address(result)

    def output(self, result):
        return np.array(result)


if __name__ == "__main__":
    serve(Peer)
