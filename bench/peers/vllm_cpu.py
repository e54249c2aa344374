"""Kernels of vLLM's wheel for CPUs: its own `cpu_fused_moe` (for AMX where there is AMX, as vLLM chooses), and SGLang's
`fused_experts_cpu` in bf16 and in int8."""

import importlib.util
import pathlib

import torch
from common import serve

# Only the kernels: the package itself asks for much more.
torch.ops.load_library(pathlib.Path(importlib.util.find_spec("vllm").origin).with_name("_C.abi3.so"))
BF16, INT8_W8A8 = 0, 1  # moe_comp_method
ISA = "amx" if torch.cpu._is_amx_tile_supported() and torch.cpu._init_amx() else "vec"


class Peer:
    def __init__(self, weights, dtype, threads, variant):
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.variant, self.dtype, self.choices = variant, dtype, weights.choices
        self.router = torch.from_numpy(weights.router).bfloat16()
        gate_up = torch.cat([torch.from_numpy(weights.gate), torch.from_numpy(weights.up)], 1)
        self.packed, self.scales = [], []
        for matrix in (gate_up, torch.from_numpy(weights.down)):
            scale = None
            if dtype == "q8":
                scale = matrix.abs().amax(-1, keepdim=True) / 127
                matrix = (matrix / scale).round().to(torch.int8)
            else:
                matrix = matrix.bfloat16()
            if variant == "vllm":
                packed = torch.empty_like(matrix)
                torch.ops._C.prepack_moe_weight(matrix, packed, ISA)
            else:
                packed = torch.ops._C.convert_weight_packed(matrix)
            self.packed.append(packed)
            self.scales.append(scale)
        del gate_up, matrix

    def input(self, rows):
        return torch.from_numpy(rows).bfloat16()

    def run(self, rows):
        scores = torch.softmax(torch.nn.functional.linear(rows, self.router).float(), -1)
        chosen, experts = torch.topk(scores, self.choices, -1)
        chosen, experts = chosen / chosen.sum(-1, keepdim=True), experts.to(torch.int32)
        result = torch.empty_like(rows)
        first, second = self.packed
        if self.variant == "vllm":
            torch.ops._C.cpu_fused_moe(result, rows, first, second, None, None, chosen, experts, False, "silu", ISA)
            return result
        method = INT8_W8A8 if self.dtype == "q8" else BF16
        none = (None, None, None, None, None, None, None, None)
        torch.ops._C.fused_experts_cpu(result, rows, first, second, chosen, experts, method, *self.scales, *none, True)
        return result

    def output(self, result):
        return result.float().numpy()


if __name__ == "__main__":
    serve(Peer)
