"""Emits the CPU code of every example: it works, or it is refused with the operation named; never a signal.

usage: compiles.py EXAMPLES
"""
import pathlib
import subprocess
import sys

WORKS = {
    "adamoe",
    "autonomy_of_experts",
    "base_layers",
    "capacity_slots",
    "conditional_computation",
    "cosine_router",
    "dbrx",
    "deep_mixture",
    "deepseek_v2",
    "deepseek_v3",
    "deepseek_v4",
    "deepspeed_gating",
    "dselect_k",
    "dynmoe",
    "ensemble_e3",
    "ernie4_5_moe",
    "expert_choice",
    "expert_selection",
    "flaxformer_token_choice",
    "gaussian_gate",
    "gemma4",
    "glm4_moe",
    "gpt_oss",
    "gradient_boosting",
    "granitemoe",
    "grok",
    "gshard_top2",
    "hash_layers",
    "hierarchical_lucidrains",
    "hierarchical_mesh",
    "hmoe",
    "inkling",
    "jamba",
    "jetmoe",
    "jetmoe_attention",
    "kimi_k2",
    "kimi_k3",
    "ling",
    "llama4_text",
    "local_experts",
    "longcat_flash",
    "loss_free_balancing",
    "m6t",
    "megablocks",
    "megatron_dropping",
    "minimax_m2",
    "minimax_text",
    "mixtral",
    "mixture_of_depths",
    "mixture_of_tokens",
    "moe_plus_plus",
    "multi_hash",
    "nemotron_h",
    "nllb_moe",
    "no_token_left_behind",
    "olmoe",
    "peer",
    "phimoe",
    "quantile_balancing",
    "qwen2_moe",
    "qwen3_moe",
    "qwen3_next",
    "remoe",
    "residual_moe",
    "shazeer_noisy_topk",
    "soft_moe",
    "statistics",
    "step3p7",
    "switch_mesh",
    "switch_transformers",
    "switchhead",
    "top_p_routing",
    "tutel_routing",
    "tutorial",
    "vmoe_noisy_topk",
    "zaya",
}
wrong = []
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.mlir")):
    done = subprocess.run(["moe-compile", str(path), "--level=avx2", "--emit=cpu", "-o", "-"], capture_output=True, text=True)
    refused = done.returncode == 1 and f"{path}:" in done.stderr and "error:" in done.stderr and not done.stdout
    if not (done.returncode == 0 if path.stem in WORKS else refused or done.returncode == 0):
        wrong.append(f"{path.name}: exit code {done.returncode}\n{done.stderr}")
print(*wrong, sep="\n")
sys.exit(bool(wrong))
