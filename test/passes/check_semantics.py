"""Runs a model on the f64 interpreter after every pass of moe-to-grouped, or of those named, and fails when an answer changes.

usage: check_semantics.py MODEL.mlir [PASS...]

Weights are random, by the names and types that --moe-lift-params finds, and so are the inputs of every function, with 13 tokens
and with none. The answer of the text as written is the expected one of all others.
"""

import json
import math
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile

FUNCTION = re.compile(r"^  func\.func @(\w+)\((.*)\) -> (.*) {$", re.M)
PARAM = re.compile(r'tensor<([\dx]+)(f32|bf16)> {moe\.param = "([^"]+)"}')
INPUT = re.compile(r"tensor<([\d?x]+)(\w+)>(?: {(\w+)?)?")
BODY = re.compile(r"^  func\.func (?:private )?@(\w+)\(.*?^  }", re.M | re.S)
DUMP = re.compile(r"^// -----// IR Dump After (\w+).*//----- //$", re.M)
TOKENS = (13, 0)


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    return result.returncode, result.stdout, result.stderr


def write_weights(lifted, path):
    """A safetensors file with a tensor of random numbers for every param; {expert} gives one for each index."""
    header, data = {}, b""
    for shape, element, name in PARAM.findall(lifted):
        shape = [int(size) for size in shape.split("x") if size]
        names = [name]
        while "{" in names[0]:
            hole = re.search(r"{\w+(?::(\d+))?}", names[0])
            begin = int(hole.group(1) or 0)
            names = [n.replace(hole.group(), str(begin + i)) for n in names for i in range(shape[0])]
            shape = shape[1:]
        for each in names:
            if each in header:
                continue
            values = [random.uniform(-1, 1) for _ in range(math.prod(shape))]
            raw = b"".join(struct.pack("<f", v)[2 if element == "bf16" else 0 :] for v in values)
            header[each] = {"dtype": element.upper(), "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
            data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def interpret(module, options):
    code, output, error = run("moe-interpret", module, *options)
    return "" if code == 0 else f"moe-interpret {module} {' '.join(map(str, options))}\n{output}{error}"[-4000:]


def inputs_of(arguments, tokens):
    """--input options for the arguments of a function that are not params."""
    for sizes, element, attribute in INPUT.findall(arguments):
        if attribute == "moe":
            continue
        shape = [tokens if size == "?" else int(size) for size in sizes.split("x") if size]
        values = ",".join(f"{random.uniform(-1, 1):.6f}" for _ in range(math.prod(shape)))
        yield f"--input={'x'.join(map(str, shape))}x{element}" + (f"={values}" if values else "")


def stages(model, passes):
    """(pass, module) after every pass, on every function."""
    code, _, dumps = run("moe-opt", *passes, "--mlir-disable-threading", "--mlir-print-ir-after-all",
                         "--mlir-print-ir-module-scope", model)
    if code:
        sys.exit(f"moe-opt fails on {model}:\n{DUMP.split(dumps)[0]}")
    parts = DUMP.split(dumps)[1:]
    return zip(parts[::2], parts[1::2])


def text_of(function, module):
    """The function and its prepare steps, which alone can change its answers."""
    return [body.group() for body in BODY.finditer(module) if re.fullmatch(rf"{function}(_prepare\d+)?", body.group(1))]


def check(model, passes, scratch):
    random.seed(model.name)
    code, lifted, error = run("moe-opt", "--inline", "--moe-lift-params", model)
    if code:
        sys.exit(error)
    write_weights(lifted, scratch / "model.safetensors")
    runs = []
    for function, arguments, results in FUNCTION.findall(lifted):
        for tokens in TOKENS:
            first = scratch / f"{function}-{tokens}.npy"
            more = results.count("tensor<") - 1
            options = [f"--function={function}", f"--weights={scratch / 'model.safetensors'}", *inputs_of(arguments, tokens)]
            if message := interpret(model, [*options, f"--output=@{first}", *[f"--output=+{first}"] * more]):
                sys.exit(message)
            runs.append([function, *options, f"--expected_output=@{first}", *[f"--expected_output=+{first}"] * more,
                         "--expected_atol=1e-11", "--expected_rtol=1e-11"])
    checked, last = 0, {}
    for name, module in stages(model, passes):
        stage = scratch / "stage.mlir"
        stage.write_text(module)
        texts = {function: text_of(function, module) for function, *_ in runs}
        for function, *options in runs:
            if texts[function] == last.get(function):
                continue
            if message := interpret(stage, options):
                sys.exit(f"{model.name} changes in {name}:\n{message}")
            checked += 1
        last = texts
    print(f"{model.name}: {checked} answers equal the first")
    return 0 if checked else 1


def main():
    with tempfile.TemporaryDirectory(prefix="moe-semantics-") as scratch:
        return check(pathlib.Path(sys.argv[1]), sys.argv[2:] or ["--moe-to-grouped"], pathlib.Path(scratch))


sys.exit(main())
