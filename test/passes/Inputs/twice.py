"""Fails when moe-to-grouped, run a second time, changes what the first time made of a model.

usage: twice.py MODEL.mlir|FOLDER...
"""

import difflib
import pathlib
import subprocess
import sys

PHASE = "--moe-to-grouped"
# Formats of weights are the second time's too, or none; for some models.
RUNS = [([PHASE], [PHASE, PHASE]), ([f"{PHASE}=weights-format=q8"], [f"{PHASE}=weights-format=q8", PHASE])]


def models(argument):
    path = pathlib.Path(argument)
    return sorted(path.rglob("*.mlir")) if path.is_dir() else [path]


def text(model, flags):
    done = subprocess.run(["moe-opt", str(model), *flags], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{model} {' '.join(flags)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout.splitlines()


checked = failures = 0
for model in [model for argument in sys.argv[1:] for model in models(argument)]:
    for once, twice in RUNS if checked % 8 == 0 else RUNS[:1]:
        checked += 1
        changes = list(difflib.unified_diff(text(model, once), text(model, twice), "once", "twice", lineterm="", n=0))
        if changes:
            failures += 1
            print(f"{model} {' '.join(twice)}:", *changes[:10], sep="\n")
print(f"{checked} models, {failures} failures")
sys.exit(failures != 0 or not checked)
