"""AMD's zentorch: `zentorch_fused_moe`, which packs weights at its first call, after a router in PyTorch."""

import torch
import zentorch  # noqa: F401 (registers the operation)
from common import serve


class Peer:
    def __init__(self, weights, dtype, threads, variant):
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[dtype]
        self.choices = weights.choices
        self.router = torch.from_numpy(weights.router).to(self.dtype)
        self.gate_up = torch.empty(weights.experts, 2 * weights.inner, weights.hidden, dtype=self.dtype)
        self.gate_up[:, : weights.inner] = torch.from_numpy(weights.gate)
        self.gate_up[:, weights.inner :] = torch.from_numpy(weights.up)
        self.down = torch.from_numpy(weights.down).to(self.dtype)

    def input(self, rows):
        return torch.from_numpy(rows).to(self.dtype)

    def run(self, rows):
        scores = torch.softmax(torch.nn.functional.linear(rows, self.router).float(), -1)
        chosen, experts = torch.topk(scores, self.choices, -1)
        chosen = chosen / chosen.sum(-1, keepdim=True)
        result = torch.empty_like(rows)
        torch.ops.zentorch.zentorch_fused_moe(
            result, rows, self.gate_up, self.down, None, None, chosen, experts.to(torch.int32), False, "silu"
        )
        return result

    def output(self, result):
        return result.float().numpy()


if __name__ == "__main__":
    serve(Peer)
