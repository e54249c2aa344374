"""Compares the verdicts of --moe-check-causal with what the f64 interpreter does, for every function of the examples.

usage: causal.py EXAMPLES TESTS EXPECTED

Prints a line a function: its verdict, and the op that a verdict against it names. A function that is called causal is run on
T tokens, on the first ones alone, and with other later tokens: the first rows must be equal to the bit. When its rows are said to
depend on their own token alone, other earlier tokens must not change them either. A function that is not proved must be seen to
change for some input, or its line ends with "no counterexample". Where EXPECTED has a line `EXPECT: MODEL @FUNCTION: ...`, the
function's line must be that one.
"""

import concurrent.futures
import pathlib
import random
import re
import subprocess
import sys
import tempfile
from array import array

EXAMPLES, TESTS = (pathlib.Path(a) for a in sys.argv[1:3])
sys.path.insert(0, str(TESTS / "random"))
from builder import Tensor, to_bytes  # noqa: E402
from data import read_records, write_safetensors  # noqa: E402

TOKENS, FIRST = 64, 48
VERDICT = re.compile(r"remark: @(\w+) (.*)")
NOTE = re.compile(r"note: (.*)")
FUNCTION = re.compile(r"^  func\.func @(\w+)\((.*)\) -> (.*) {$", re.M)
PARAM = re.compile(r'tensor<([\dx]+)x(\w+)> {moe\.param = "([^"]+)"}')
ARGUMENT = re.compile(r"%\w+: (?:tensor<([^>]*)>|(\w+))( {moe\.param)?")
SOURCE = re.compile(r"^func\.func @(\w+)\((.*?)\)", re.M | re.S)
NAMED = re.compile(r"%(\w+): (?!!moe\.scope)")
TENSOR = re.compile(r"tensor<([^>]*)>")


def tool(*arguments):
    run = subprocess.run([str(a) for a in arguments], capture_output=True)
    if run.returncode:
        sys.exit(f"{arguments[0]} exited with {run.returncode}: {run.stderr.decode()[-3000:]}")
    return run.stdout, run.stderr.decode()


def verdicts(model):
    """{function: (what is said, the first reason)}"""
    found, name = {}, None
    for line in tool("moe-opt", model, "--moe-check-causal=remarks", "-o", "/dev/null")[1].splitlines():
        if match := VERDICT.search(line):
            name = match[1]
            found.setdefault(name, [match[2], ""])
        elif (match := NOTE.search(line)) and not found[name][1]:
            found[name][1] = match[1]
    return found


def numbers(rng, count, dtype):
    """Floats, or for integers members, ids and segments: 0 or 1."""
    if dtype in ("i32", "i64"):
        return array("i" if dtype == "i32" else "q", [rng.randrange(2) for _ in range(count)]).tobytes()
    values = [rng.gauss(0, 1) for _ in range(count)]
    return array("d", values).tobytes() if dtype == "f64" else to_bytes(values, dtype)


def tensor(rng, shape, dtype):
    count = 1
    for n in shape:
        count *= n
    return Tensor(tuple(shape), dtype, numbers(rng, count, dtype))


def table(shape, dtype):
    """Distinct experts in every row."""
    columns = shape[-1]
    return Tensor(tuple(shape), dtype, array("i" if dtype == "i32" else "q", [i % 2 + j for i in range(shape[0]) for j in range(columns)]).tobytes())


def params(rng, functions):
    found = {}
    for sizes, dtype, name in PARAM.findall(" ".join(arguments for _, arguments, _ in functions)):
        shape, names = [int(n) for n in sizes.split("x")], [name]
        while "{" in names[0]:
            hole = re.search(r"{\w+(?::(\d+))?}", names[0])
            names = [n.replace(hole.group(), str(int(hole[1] or 0) + i)) for n in names for i in range(shape[0])]
            shape = shape[1:]
        for name in names:
            if name not in found:
                found[name] = table(shape, dtype) if dtype in ("i32", "i64") else tensor(rng, shape, dtype)
    return found


def inputs(rng, function, arguments, names):
    """{name: (Tensor of T rows, whether rows are its first dimension)}. A proof relies on positions that grow, so `%pos` is the row's number."""
    found = {}
    for shape, scalar, is_param in ARGUMENT.findall(arguments):
        if is_param:
            continue
        name = f"{function}.in{len(found)}"
        if scalar:
            found[name] = (Tensor((), "i64", array("q", [rng.choice([3, 1, 2])]).tobytes()), False)
            continue
        *sizes, dtype = shape.split("x")
        if names[len(found)] == "pos":
            found[name] = (Tensor((TOKENS,), dtype, array("i", range(TOKENS)).tobytes()), True)
            continue
        found[name] = (tensor(rng, [TOKENS if n == "?" else int(n) for n in sizes], dtype), sizes[:1] == ["?"])
    return found


def cut(t, begin, end):
    width = len(t.data) // t.shape[0]
    return t.data[begin * width:end * width]


def groups(functions):
    """Functions that agree on the types of their params, which can share one checkpoint."""
    found = []
    for function in functions:
        types = {name: (sizes, dtype) for sizes, dtype, name in PARAM.findall(function[1])}
        for known, members in found:
            if all(known.get(name, type) == type for name, type in types.items()):
                known |= types
                members.append(function)
                break
        else:
            found.append((types, [function]))
    return [members for _, members in found]


class Runs:
    """Functions of one model on one draw of inputs, and on what else must or may not change their rows."""

    def __init__(self, model, functions, seed):
        rng = random.Random(f"{model.name} {seed}")
        weights = params(rng, functions)
        base, other = {}, {}
        names = {function: NAMED.findall(arguments) for function, arguments in SOURCE.findall(model.read_text())}
        for function, arguments, _ in functions:
            base |= inputs(rng, function, arguments, names[function])
            other |= inputs(rng, function, arguments, names[function])
        variants = {"base": {}, "alone": {}, "later": {}, "earlier": {}}
        for name, (t, by_row) in base.items():
            u = other[name][0]
            for variant, tensors in variants.items():
                tensors[name] = t
                if by_row:
                    first = cut(u if variant == "earlier" else t, 0, FIRST)
                    last = cut(u if variant == "later" else t, FIRST, TOKENS) if variant != "alone" else b""
                    tensors[name] = Tensor((FIRST if variant == "alone" else TOKENS, *t.shape[1:]), t.dtype, first + last)
        self.results = {}
        for variant, tensors in variants.items():
            with tempfile.NamedTemporaryFile(suffix=".safetensors") as data:
                write_safetensors(data.name, weights | tensors)
                records, _ = read_records(tool("moe-random-evaluate", data.name, model)[0])
            self.results[variant] = {function: results for (_, function), results in records.items()}
        for function, *_ in functions:
            if function not in self.results["base"]:
                sys.exit(f"{model.name}: @{function} does not run")

    def differ(self, variant, function, results, begin, end):
        """The results whose rows begin ... end differ."""
        if function not in self.results[variant]:
            return [0]  # the run stopped with an error, as without those tokens
        found = []
        for i, text in enumerate(TENSOR.findall(results) if "tensor" in results else []):
            if not text.startswith("?"):
                continue
            (shape, a), (_, b) = (self.results[v][function][i] for v in ("base", variant))
            width = len(a) // shape[0]
            if a[begin * width:end * width].tobytes() != b[begin * width:end * width].tobytes():
                found.append(i)
        return found


def check(model):
    """Lines about the functions of a model."""
    lifted = tool("moe-opt", "--inline", "--moe-lift-params", model)[0].decode()
    said = verdicts(model)
    for functions in groups(FUNCTION.findall(lifted)):
        runs = [Runs(model, functions, 0)]
        for function, _, results in functions:
            verdict, reason = said.pop(function)
            line = f"{model.relative_to(EXAMPLES).with_suffix('')} @{function}: "
            if "is causal" in verdict:
                changed = runs[0].differ("alone", function, results, 0, FIRST) + runs[0].differ("later", function, results, 0, FIRST)
                line += "earlier" if "earlier" in verdict else "own"
                if "alone" in verdict:
                    changed += runs[0].differ("earlier", function, results, FIRST, TOKENS)
                line += f", WRONG: results {changed} change" if changed else ""
            elif "is not proved" in verdict:
                line += f"not proved, {reason}"
                for seed in range(8):
                    if seed == len(runs):
                        runs.append(Runs(model, functions, seed))
                    if any(runs[seed].differ(v, function, results, 0, FIRST) for v in ("alone", "later")):
                        break
                else:
                    line += "; no counterexample"
            else:
                line += verdict
            yield line
    if said:
        yield f"{model}: WRONG: functions that are not there: {said}"


def main():
    models = sorted(EXAMPLES.rglob("*.mlir"))
    expected = dict(re.findall(r"^EXPECT: (\S+ @\w+): (.*)$", pathlib.Path(sys.argv[3]).read_text(), re.M))
    wrong = met = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for lines in pool.map(lambda model: list(check(model)), models):
            for line in lines:
                name, verdict = line.split(": ", 1)
                met += name in expected
                if expected.get(name, verdict) != verdict:
                    line += f"; WRONG: expected {expected[name]}"
                wrong += "WRONG" in line
                print(line)
    print(f"{len(models)} models, {met} of {len(expected)} expected verdicts, {wrong} wrong ones")
    return 1 if wrong or not met else 0


sys.exit(main())
