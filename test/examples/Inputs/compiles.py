"""Emits the CPU code of every example, and names those that are refused.

usage: compiles.py EXAMPLES
"""
import pathlib
import subprocess
import sys

wrong = []
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.mlir")):
    done = subprocess.run(["moe-compile", str(path), "--level=avx2", "--emit=cpu", "-o", "-"], capture_output=True, text=True)
    if done.returncode != 0:
        wrong.append(f"{path.name}: exit code {done.returncode}\n{done.stderr}")
print(*wrong, sep="\n")
sys.exit(bool(wrong))
