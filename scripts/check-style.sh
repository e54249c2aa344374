#!/bin/bash
# Checks the formatting of all sources and runs clang-tidy on the changed ones (against origin/main, or else the last
# commit; at most 15 files). Needs a built tree, because clang-tidy reads generated headers.
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files '*.h' '*.cpp' '*.c' | grep -v '/Inputs/' | xargs -r clang-format-22 --dry-run -Werror
echo "formatting is right"

base=$(git merge-base origin/main HEAD 2>/dev/null || true)
if [ -z "$base" ] || [ "$base" = "$(git rev-parse HEAD)" ]; then
  base=$(git rev-parse --verify --quiet HEAD~1 || git hash-object -t tree /dev/null)
fi
mapfile -t changed < <(git diff --name-only --diff-filter=d "$base" -- '*.cpp' '*.c' | grep -v '/Inputs/' | head -15)
if [ ${#changed[@]} -gt 0 ]; then
  printf 'clang-tidy %s\n' "${changed[@]}"
  printf '%s\n' "${changed[@]}" | xargs -P "$(nproc)" -n 1 timeout 5m clang-tidy-22 -p build --quiet
fi
echo "clang-tidy has nothing to say about ${#changed[@]} changed files"
