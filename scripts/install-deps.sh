#!/bin/bash
# Installs what the build, the tests and the checks need on a bare Debian 12 machine. Run as root; quick and offline when
# nothing is missing. MLIR 22 comes from Debian's own security archive, which is added to apt's sources if it is not there.
set -euo pipefail

packages=(
  llvm-22-dev libmlir-22-dev mlir-22-tools llvm-22-tools # LLVM and MLIR; lit, FileCheck, mlir-tblgen, llvm-nm
  clang-22 clang-format-22 clang-tidy-22                 # compiler and checks
  lld-22 liblld-22-dev libzstd-dev zlib1g-dev            # the linker as a library, and what it needs
  libomp-22-dev                                          # OpenMP's run-time library (libomp.so.5)
  libfmt-dev libcli11-dev nlohmann-json3-dev             # formatting, options, JSON
  libgtest-dev libgmock-dev libbenchmark-dev             # tests and benchmarks
  cmake ninja-build ccache                               # build
  git python3 shellcheck                                 # scripts and their tests
)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

echo "installing ${missing[*]}" >&2
if [ "$(id -u)" -ne 0 ]; then
  echo "install-deps.sh: these packages are missing and only root can install them: ${missing[*]}" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# has_candidate PACKAGE: whether apt's sources offer it.
has_candidate() { apt-cache policy "$1" | grep "^  Candidate: [0-9]" >/dev/null; }
if ! has_candidate llvm-22-dev; then
  # shellcheck source=/dev/null
  . /etc/os-release
  if [ "${VERSION_CODENAME:-}" != bookworm ]; then
    echo "install-deps.sh: apt offers no llvm-22-dev, and this is ${PRETTY_NAME:-an unknown system}, not Debian 12 (bookworm)" >&2
    exit 1
  fi
  echo 'deb http://deb.debian.org/debian-security bookworm-security main' >/etc/apt/sources.list.d/bookworm-security.list
  apt-get update -q
fi
apt-get install -q -y --no-install-recommends "${missing[@]}"
