"""Runs functions of a model on random inputs with moe-run and with moe-interpret and compares all results.

usage: agree.py MODEL.mlir ARTEFACT.so FUNCTION:T[,T...][:special] ... [-- options of the comparison]
Every `?` becomes T, or with A+B+C for T that of the first input becomes A, of the second B, of all others C; params get random
values too. Special inputs tie often, and some are NaN, infinite or -0. Every level of $LEVELS (avxvnni and amx if the
artefact has them) and 1, 2 and 3 threads are run; threads must not change a bit. $REFERENCE is what moe-interpret runs, by default
the model.
"""
import itertools
import json
import math
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

FORMATS = {"f32": ("<f4", "f"), "f64": ("<f8", "d"), "i32": ("<i4", "i"), "i64": ("<i8", "q")}


def npy(path, dtype, shape, values):
    descr, code = FORMATS[dtype]
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (descr, "".join(f"{d}," for d in shape))
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(struct.pack(f"<{len(values)}{code}", *values))


def aliases_of(text):
    return {name: type_.strip() for name, type_ in re.findall(r"^(![\w]+)\s*=\s*([^/\n]+)", text, re.M)}


def bits16(value, dtype):
    if dtype == "f16":
        return struct.pack("<e", value)
    return struct.pack("<f", value)[2:]


def weights(model, path):
    """A safetensors file with every param of the model, one tensor for each value of its placeholders."""
    text = open(model).read()
    aliases = aliases_of(text)
    header, data = {}, b""
    for name, type_ in sorted(set(re.findall(r'moe\.param %\w+ "([^"]+)" : (![\w]+|tensor<[^>]*>)', text))):
        *dims, dtype = re.match(r"tensor<(.*)>", aliases.get(type_, type_)).group(1).split("x")
        shape = [int(d) for d in dims]
        braces = re.findall(r"\{(\w+)(?::(\d+))?\}", name)
        stacked, rest = shape[:len(braces)], shape[len(braces):]
        for index in itertools.product(*[range(n) for n in stacked]):
            full = name
            for (axis, begin), i in zip(braces, index):
                full = re.sub(r"\{[^}]*\}", str(i + int(begin or 0)), full, count=1)
            count = 1
            for d in rest:
                count *= d
            values = [round(random.gauss(0, 1) * 8) / 8 for _ in range(count)]
            if dtype in ("bf16", "f16"):
                raw = b"".join(bits16(v, dtype) for v in values)
            else:
                raw = struct.pack(f"<{count}{FORMATS[dtype][1]}", *values)
            header[full] = {"dtype": dtype.upper(), "shape": rest, "data_offsets": [len(data), len(data) + len(raw)]}
            data += raw
    if not header:
        return []
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    return [f"--weights={path}"]


def inputs_of(model, function):
    text = open(model).read()
    aliases = aliases_of(text)
    signature = re.search(r"func\.func @%s\((.*?)\)\s*->" % function, text, re.S).group(1)
    signature = re.sub(r"%\w+: !moe.scope", "", signature)
    types = [t.strip() for t in re.findall(r":\s*(![\w]+|tensor<[^>]*>|\w+)", signature)]
    return [aliases.get(t, t).strip().replace("index", "i64") for t in types]


def levels_of(artefact):
    has = re.search(rb'"levels":\[([^\]]*)\]', open(artefact, "rb").read())[1].decode()
    return [level for level in os.environ["LEVELS"].split(",") if level not in ("avxvnni", "amx") or f'"{level}"' in has]


def special():
    """A float of few values, some of them not numbers."""
    return random.choice([math.nan, math.inf, -math.inf, -0.0] + 4 * [-1.0, 0.0, 0.5, 2.0])


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(" ".join(command), f"\nexit code {done.returncode}\n", done.stdout, done.stderr)
        sys.exit(1)
    return done.stdout


def main():
    arguments, options = sys.argv[1:], []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1:]
    model, artefact, runs = arguments[0], arguments[1], arguments[2:]
    reference = os.environ.get("REFERENCE", model)
    random.seed(1)
    with tempfile.TemporaryDirectory() as folder:
        params = weights(model, f"{folder}/weights.safetensors")
        for entry in runs:
            function, sizes, *mode = entry.split(":")
            draw = special if mode == ["special"] else lambda: random.gauss(0, 1)
            for size in sizes.split(","):
                flags = [f"--function={function}", *params]
                for number, type_ in enumerate(inputs_of(model, function)):
                    *dims, dtype = re.fullmatch(r"tensor<(.*)>|(\w+)", type_).expand(r"\1\2").split("x")
                    rows = size.split("+")
                    shape = [int(rows[min(number, len(rows) - 1)]) if d == "?" else int(d) for d in dims]
                    count = 1
                    for d in shape:
                        count *= d
                    path = f"{folder}/{number}.npy"
                    values = [draw() for _ in range(count)]
                    if dtype.startswith("i"):
                        values = [random.randrange(0, 2 if dtype == "i1" else 3) for _ in range(count)]
                    if not dims:
                        values = [1 if dtype == "i1" else random.randrange(1, 5)]
                    if dtype not in FORMATS or not dims:
                        if dtype in ("bf16", "f16"):  # exact in both
                            values = [round(v * 8) / 8 if math.isfinite(v) else v for v in values]
                        named = "x".join([*map(str, shape), dtype])
                        flags.append(f"--input={named}={','.join(map(str, values))}" if count else f"--input={named}")
                        continue
                    npy(path, dtype, shape, values)
                    flags.append(f"--input=@{path}")
                # One --output a result: as many as text lines.
                results = len([l for l in run(["moe-interpret", reference, *flags]).splitlines() if "=" in l])
                names = [f"{folder}/y{i}.npy" for i in range(results)]
                run(["moe-interpret", reference, *flags, *[f"--output=@{n}" for n in names]])
                expected = [f"--expected_output=@{n}" for n in names]
                for level in levels_of(artefact):
                    bits = set()
                    for threads in (1, 2, 3):
                        command = ["moe-run", artefact, *flags, f"--threads={threads}", f"--level={level}"]
                        text = run([*command, *expected, *options])
                        outputs = [f"{folder}/{level}{i}.npy" for i in range(results)]
                        run([*command, *[f"--output=@{n}" for n in outputs]])
                        bits.add(b"".join(open(n, "rb").read() for n in outputs))
                    worst = re.findall(r"largest difference (\S+)", text)
                    print(f"{function} T={size} {level}: {len(bits)} answer, differences {' '.join(worst)}")
                    if len(bits) != 1:
                        sys.exit(f"{function}: {len(bits)} different answers at 1, 2 and 3 threads")


main()
