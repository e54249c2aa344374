#!/bin/bash
# Builds everything and runs all tests. The last line is the count: `N passed, N failed[, N skipped]`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-deps.sh
scripts/build.sh

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# Failing tests must not stop the others; scripts/count-tests.py decides in the end.
timeout 40m /usr/lib/llvm-22/bin/lit -v --output "$results/lit.json" build/test || true
for program in build/bin/moe-*-tests; do
  name=$(basename "$program")
  echo "== $name"
  timeout 20m "$program" --gtest_brief=1 --gtest_output="json:$results/$name.json" || echo "exit status $?" >"$results/$name.failed"
done

python3 scripts/count-tests.py "$results"
