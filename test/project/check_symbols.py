"""Fails when a shared object exports other symbols than moe_*, or needs others than libc's mem* and libomp's.

usage: check_symbols.py FILE.so
"""

import re
import subprocess
import sys

EXPORTED = re.compile(r"moe_\w+")
NEEDED = re.compile(r"mem(cpy|move|set)|__kmpc_\w+|omp_\w+")


def symbols(path, which):
    listing = subprocess.run(["llvm-nm", "-D", "--just-symbol-name", which, path], check=True, capture_output=True, text=True)
    return [line.split("@")[0] for line in listing.stdout.split()]


def main():
    exported, needed = symbols(sys.argv[1], "--defined-only"), symbols(sys.argv[1], "--undefined-only")
    wrong = [f"exports {name}" for name in exported if not EXPORTED.fullmatch(name)]
    wrong += [f"needs {name}" for name in needed if not NEEDED.fullmatch(name)]
    print(*wrong, f"{len(exported)} exported, {len(needed)} undefined, {len(wrong)} wrong", sep="\n")
    return 1 if wrong or not exported else 0


sys.exit(main())
