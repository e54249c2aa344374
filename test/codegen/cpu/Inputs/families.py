"""Compiles families.mlir for every type, weights format and level that has code of its own, and compares it with the reference.

usage: families.py FOLDER TYPE[,TYPE...] LEVEL[,LEVEL...]    (TYPE: f32, f16, bf16, or a weights format; LEVEL: emulated, or avx2)
"""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
# No products of 24 rows, which the level amx would unpack to bf16: amx.mlir has those.
SIZES = {"few": ["layer:0,1,2,7,19", "one:0,1,5,23", "each:1,2"], "all": ["layer:0,1,2,7,61", "one:0,1,5,23,67", "each:1,2,13"]}


def tool(*command, **options):
    subprocess.run([str(part) for part in command], check=True, **options)


folder, types, levels = pathlib.Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3].split(",")
folder.mkdir(parents=True, exist_ok=True)
for kind in types:
    quantised = kind.startswith("q")
    model, reference = folder / f"{kind}.mlir", folder / f"{kind}.reference.mlir"
    model.write_text((HERE / "families.mlir").read_text().replace("ELEMENT", "bf16" if quantised else kind))
    options = [f"--weights-format={kind}"] if quantised else []
    tool("moe-opt", model, "--moe-to-grouped=" + (f"weights-format={kind}" if quantised else ""), "-o", reference)
    for level in levels:
        emulated = [] if level == "avx2" else ["--emulated"]
        tool("moe-compile", model, *options, f"--level={level}", *emulated, "-o", folder / "model.so")
        sizes = SIZES["few" if level == "amx" and quantised and kind != "q8" else "all"]
        environment = os.environ | {"LEVELS": "avx2", "REFERENCE": str(reference)}
        print(f"{kind} by {level}", flush=True)
        command = [sys.executable, HERE / "agree.py", model, folder / "model.so", *sizes, "--", "--expected_atol=1e-4", "--expected_rtol=1e-5"]
        tool(*command, env=environment)
