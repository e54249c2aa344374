"""ggml, or ik_llama.cpp's form of it, from a build whose folder is given: the graph that llama.cpp makes of a layer.

usage: ggml_moe.py VARIANT BUILD

VARIANT has words with commas between them: `repack` lays weights out as the program does when it loads them (ggml's buffer of type
CPU_REPACK, which takes 4-bit types on x86; ik_llama.cpp's run-time repacking), and the name of a type stands for that of the dtype.
"""

import concurrent.futures
import ctypes
import pathlib
import sys

import numpy as np
from common import serve

TYPES = {"f32": 0, "q4_0": 2, "q8_0": 8, "q4_K": 12, "bf16": 30, "iq4_ks": 144}  # ggml_type; the last is ik_llama.cpp's
OF_DTYPE = {"f32": "f32", "bf16": "bf16", "q8": "q8_0", "q4": "q4_0"}
REPACKED = ("q4_0", "q4_K")  # what ggml's CPU_REPACK takes on x86
P, TEXT, I64, INT, SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int, ctypes.c_size_t
SIGNATURES = {
    "ggml_new_tensor_2d": (P, P, INT, I64, I64),
    "ggml_new_tensor_3d": (P, P, INT, I64, I64, I64),
    "ggml_get_data": (P, P),
    "ggml_nbytes": (SIZE, P),
    "ggml_row_size": (SIZE, INT, I64),
    "ggml_mul_mat": (P, P, P, P),
    "ggml_mul_mat_id": (P, P, P, P, P),
    "ggml_soft_max_inplace": (P, P, P),
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
    "ggml_mul_multi_add": (P, P, P, P),
    "iqk_repack_tensor": (None, P),
    "ggml_cont": (P, P, P),
    "ggml_new_graph": (P, P),
    "ggml_build_forward_expand": (None, P, P),
    "ggml_graph_compute": (INT, P, P),
    "ggml_quantize_chunk": (SIZE, INT, P, P, I64, I64, I64, P, P),  # the last argument is ik_llama.cpp's
    "ggml_quantize_init": (None, INT),
    "ggml_fp32_to_bf16_row": (None, P, P, I64),
    "ggml_backend_cpu_reg": (P,),
    "ggml_backend_reg_dev_get": (P, P, SIZE),
    "ggml_backend_reg_get_proc_address": (P, P, TEXT),
    "ggml_backend_buft_name": (TEXT, P),
    "ggml_backend_alloc_ctx_tensors_from_buft": (P, P, P),
    "ggml_backend_tensor_set": (None, P, P, SIZE, SIZE),
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

    def context(self, size, only_names=False):
        return self.init(InitParams(size, None, only_names))

    def repacking(self):
        """ggml's type of buffer whose tensors are repacked as they are set."""
        registry = self.backend_cpu_reg()
        address = self.backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
        found = ctypes.CFUNCTYPE(ctypes.POINTER(P), P)(address)(self.backend_reg_dev_get(registry, 0))
        for kind in found:
            if not kind:
                raise RuntimeError("this ggml has no buffers of type CPU_REPACK")
            if self.backend_buft_name(kind) == b"CPU_REPACK":
                return kind


class Peer:
    def __init__(self, weights, dtype, threads, variant):
        self.ggml = Library(sys.argv[2])
        self.weights, self.threads = weights, threads
        words = variant.split(",")
        self.repack = "repack" in words
        kind = next((w for w in words if w in TYPES), OF_DTYPE[dtype])
        self.graphs = {}
        self.gate, self.up, self.down = (self.tensor(w, kind) for w in (weights.gate, weights.up, weights.down))
        self.router = self.tensor(weights.router[None], "f32")

    def tensor(self, values, kind):
        """[outer, rows, columns], converted a matrix at a time, in a context of its own."""
        g, number = self.ggml, TYPES[kind]
        outer, rows, columns = values.shape
        step = rows * g.row_size(number, columns)
        in_buffer = self.repack and not g.iqk_repack_tensor and kind in REPACKED
        context = g.context((1 << 20) + (0 if in_buffer else outer * step), in_buffer)
        tensor = g.new_tensor_3d(context, number, columns, rows, outer)
        if in_buffer:
            filled = np.empty(outer * step, np.uint8)
            data = filled.ctypes.data
        else:
            data = g.get_data(tensor)

        def convert(i):
            source = np.ascontiguousarray(values[i], np.float32)
            if kind == "f32":
                ctypes.memmove(data + i * step, source.ctypes.data, step)
            elif kind == "bf16":
                g.fp32_to_bf16_row(source.ctypes.data, data + i * step, source.size)
            else:
                g.quantize_chunk(number, source.ctypes.data, data + i * step, 0, rows, columns, None, None)

        if kind not in ("f32", "bf16"):
            g.quantize_init(number)
        with concurrent.futures.ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(convert, range(outer)))
        if in_buffer:
            if not g.backend_alloc_ctx_tensors_from_buft(context, g.repacking()):
                raise MemoryError("no buffer of type CPU_REPACK")
            g.backend_tensor_set(tensor, data, 0, outer * step)
        elif self.repack and g.iqk_repack_tensor and kind != "f32":
            g.iqk_repack_tensor(tensor)
        return tensor

    def build(self, tokens):
        """The graph for a number of tokens: (its input's data, its result's data, graph, plan, what must live)."""
        g, w = self.ggml, self.weights
        slots = tokens * w.choices
        c = g.context(4 * slots * (4 * w.inner + 4 * w.hidden) + 4 * tokens * (4 * w.experts + 8 * w.hidden * w.choices) + (64 << 20))
        x = g.new_tensor_2d(c, TYPES["f32"], w.hidden, tokens)
        # In place, as llama.cpp's allocator lays it out: ik_llama.cpp's fused choice of experts takes that for granted.
        scores = g.soft_max_inplace(c, g.mul_mat(c, self.router, x))
        top_k = g.argsort_top_k or g.top_k
        chosen = top_k(c, scores, w.choices)
        weights = g.get_rows(c, g.reshape_3d(c, scores, 1, w.experts, tokens), chosen)
        weights = g.reshape_2d(c, weights, w.choices, tokens)
        weights = g.reshape_3d(c, g.div(c, weights, g.sum_rows(c, weights)), 1, w.choices, tokens)
        graph = g.new_graph(c)
        g.build_forward_expand(graph, weights)
        rows = g.reshape_3d(c, x, w.hidden, 1, tokens)
        if g.moe_up_gate:
            hidden = g.moe_up_gate(c, self.up, self.gate, rows, chosen, 10)  # GGML_UNARY_OP_SILU of ik_llama.cpp
        else:
            gate, up = g.mul_mat_id(c, self.gate, rows, chosen), g.mul_mat_id(c, self.up, rows, chosen)
            hidden = g.swiglu_split(c, gate, up) if g.swiglu_split else g.mul(c, g.silu(c, gate), up)
        results = g.mul_mat_id(c, self.down, hidden, chosen)
        total = g.mul_multi_add(c, results, weights) if g.mul_multi_add else self.sum(c, g.mul(c, results, weights), tokens)
        g.build_forward_expand(graph, total)
        plan = g.plan(graph, self.threads, None)
        work = ctypes.create_string_buffer(plan.work_size + 64)
        plan.work_data = ctypes.addressof(work)
        return g.get_data(x), g.get_data(total), graph, plan, work

    def sum(self, c, results, tokens):
        g, w = self.ggml, self.weights
        total = None
        for i in range(w.choices):
            view = g.view_2d(c, results, w.hidden, tokens, 4 * w.hidden * w.choices, 4 * w.hidden * i)
            total = view if total is None else g.add(c, total, view)
        return total if w.choices > 1 else g.cont(c, total)

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
