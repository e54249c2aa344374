"""PyTorch through transformers' Mixtral block: `eager` loops over experts, `grouped_mm` has one grouped product."""

import torch
from common import serve
from transformers import MixtralConfig
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock


class Peer:
    def __init__(self, weights, dtype, threads, variant):
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[dtype]
        config = MixtralConfig(
            hidden_size=weights.hidden,
            intermediate_size=weights.inner,
            num_local_experts=weights.experts,
            num_experts_per_tok=weights.choices,
            num_attention_heads=1,
        )
        config._experts_implementation = variant
        with torch.device("meta"):
            block = MixtralSparseMoeBlock(config).to(self.dtype)
        block = block.to_empty(device="cpu").eval()
        block.gate.weight.copy_(torch.from_numpy(weights.router))
        block.experts.gate_up_proj[:, : weights.inner].copy_(torch.from_numpy(weights.gate))
        block.experts.gate_up_proj[:, weights.inner :].copy_(torch.from_numpy(weights.up))
        block.experts.down_proj.copy_(torch.from_numpy(weights.down))
        self.block = block

    def input(self, rows):
        return torch.from_numpy(rows).to(self.dtype)[None]

    def run(self, rows):
        return self.block(rows)

    def output(self, result):
        return result.float().numpy()


if __name__ == "__main__":
    serve(Peer)
