#!/bin/bash
# Builds, then compiles the mixture-of-experts layer of the trained model in examples/tiny-mixtral/ and runs its four
# layers on captured inputs: for each the error against the expected outputs, the load of every expert, time per token.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-deps.sh
scripts/build.sh

PATH="$PWD/build/bin:$PATH"
model=examples/tiny-mixtral
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

echo "== compiling $model/experts.mlir"
moe-compile "$model/experts.mlir" -o "$scratch/experts.so"
echo "$(stat --format=%s "$scratch/experts.so") bytes, code for avx2, avx512 and avx512bf16"

for layer in 0 1 2 3; do
  echo
  echo "== layer $layer"
  moe-run "$scratch/experts.so" --function=experts \
    --weights="$model/model.safetensors" --prefix="model.layers.$layer.block_sparse_moe." \
    --input="@$model/golden.safetensors:layers.$layer.moe.input" \
    --expected_output="@$model/golden.safetensors:layers.$layer.moe.output" --stats
done
