#!/bin/bash
# Configures (once) and builds everything into build/, with ccache where it is installed. Arguments go to ninja.
set -euo pipefail
cd "$(dirname "$0")/.."

# What ccache must overlook to reuse objects that were compiled with a precompiled header.
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

if [ ! -f build/build.ninja ]; then
  cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22
fi
ninja -C build -j "$(nproc)" "$@"
