"""Compiles every .mlir file of a folder; each must be refused with the text and the line of its `// error:` comment.

usage: refused.py FOLDER
A following `// or:` comment gives another accepted text. The place is the first line after the comments.
"""
import os
import re
import subprocess
import sys

folder = sys.argv[1]
failures = 0
for name in sorted(os.listdir(folder)):
    path = os.path.join(folder, name)
    wanted, line = [], None
    for number, text in enumerate(open(path).read().splitlines(), 1):
        found = re.match(r"\s*// (?:error|or): (.*)", text)
        if found:
            wanted.append(found.group(1))
        elif wanted and line is None:
            line = number
    output = f"{path}.so"
    done = subprocess.run(["moe-compile", path, "--level=avx2", "-o", output], capture_output=True, text=True)
    right = any(f"{path}:{line}:" in report and text in report
                for report in done.stderr.splitlines() for text in wanted)
    if done.returncode != 1 or not right or os.path.exists(output):
        failures += 1
        print(f"{name}: exit code {done.returncode}, wanted 1 and line {line} with {wanted}\n{done.stderr}")
print(f"{len(os.listdir(folder))} models, {failures} failures")
sys.exit(failures != 0)
