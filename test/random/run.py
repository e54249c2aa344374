#!/usr/bin/env python3
"""Random programs through the whole compiler, compared with the f64 interpreter.

usage: run.py --seed S --count N [--jobs J]

For every program: text and bytecode round trips; the interpreter's results at level 1, after every prefix of moe-to-grouped,
with each optimisation left out, and with the optimisations in a random order; two compilations byte by byte (--twice); and
what moe-run computes on every CPU level of this machine, bit by bit with 1 and 2 threads. compare.py says what must be equal.
The first program that fails is reduced and printed, with the command that repeats it; exit status 1.

The programs: generate.py (whole layers), routers.py, edits.py and reads.py (the routing algebra), experts.py; identities.py and
properties.py say one thing in two ways.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import compare
from coverage import Coverage
from choices import Choices, reduce
from data import read_npy, read_records, write_safetensors
from generate import EQUIVALENCES, generate

OPTIMISATIONS = ("moe-fold-scale", "moe-fuse-gather", "moe-pair-gate-up", "moe-fuse-epilogue", "moe-fuse-combine")
# Passes that run alone, and the pass of the pipeline before which they can.
ALONE = {"moe-fold-softmax-top-k": "moe-lower-routing", "moe-weigh-activations": "moe-lower-routing",
         "moe-fold-tables": "moe-trace-routings"}
LEVELS = {"avx2": "avx2 fma f16c bmi2", "avxvnni": "avx2 fma f16c bmi2 avx_vnni", "avx512": "avx2 avx512f avx512bw avx512dq avx512vl avx512cd",
          "avx512bf16": "avx512f avx512_bf16 avx512_vnni", "amx": "avx512_bf16 amx_tile amx_bf16 amx_int8"}


class ToolError(Exception):
    """A tool failed; the message says which."""


def tool(*arguments, cwd=None, timeout=600):
    """Its standard output."""
    try:
        run = subprocess.run([str(a) for a in arguments], capture_output=True, cwd=cwd, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise ToolError(f"{arguments[0]} ran for more than {timeout} s") from None
    if run.returncode != 0:
        text = run.stderr.decode(errors="replace").strip()
        raise ToolError(f"{arguments[0]} exited with {run.returncode}: {text[:1500]}")
    return run.stdout


def machine_levels():
    flags = set(re.search(r"^flags\s*:(.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)[1].split())
    return [level for level, needed in LEVELS.items() if flags.issuperset(needed.split())]


def passes_of_pipeline(folder):
    """moe-to-grouped as a list of (anchor, pass)."""
    empty = folder / "empty.mlir"
    empty.write_text("module {}\n")
    run = subprocess.run(["moe-opt", empty, "--moe-to-grouped", "--dump-pass-pipeline", "-o", os.devnull], capture_output=True, text=True)
    text = re.search(r"builtin\.module\((.*)\)", run.stderr, re.S)[1]
    # builtin.module(inline{...}, a, func.func(b, c)): options have braces, anchors parentheses
    passes, depth, anchor = [], 0, None
    for token in re.findall(r"[\w.-]+\(|\)|[\w-]+\{[^}]*(?:\{[^}]*\}[^}]*)*\}|[\w-]+(?:\{\s*\})?|,", text):
        if token.endswith("("):
            anchor = token[:-1]
        elif token == ")":
            anchor = None
        elif token != ",":
            passes.append((anchor, token))
    return passes


def pipeline_text(passes):
    return "builtin.module(" + ",".join(f"{a}({p})" if a else p for a, p in passes) + ")"


def variants(passes, rng):
    """(name, pipeline) of all that must not change results."""
    found = [("after " + passes[n - 1][1], passes[:n]) for n in range(1, len(passes) + 1)]
    places = [i for i, (_, p) in enumerate(passes) if p in OPTIMISATIONS]
    cleanups = [i for i, (_, p) in enumerate(passes) if p.startswith(("canonicalize", "cse"))]
    for out in [[i] for i in places] + [places, cleanups, places + cleanups]:
        found.append(("without " + ", ".join(passes[i][1] for i in out), [p for i, p in enumerate(passes) if i not in out]))
    for added, place in ALONE.items():
        at = passes.index(("func.func", place))
        found.append(("with " + added, passes[:at] + [("func.func", added)] + passes[at:]))
    fusions = [i for i in places if passes[i][1] != "moe-fold-scale"]
    shuffled = list(passes)
    for to, source in zip(fusions, rng.sample(fusions, len(fusions))):
        shuffled[to] = passes[source]
    found.append(("in the order " + ", ".join(shuffled[i][1] for i in fusions), shuffled))
    return [(name, pipeline_text(p)) for name, p in found]


class Case:
    """One program: its decisions, and its texts when they are needed."""

    def __init__(self, name, seed, decisions):
        self.name, self.seed, self.decisions = name, seed, decisions
        self.program = self.build()

    def build(self, noise=None, keys=False):
        return generate(self.name, self.seed, Choices(fixed=self.decisions), noise, keys)


class Checker:
    def __init__(self, options, passes, levels):
        self.options, self.passes, self.levels = options, passes, levels
        self.ratios = []  # difference / allowed, of all elements
        self.unclear = self.replayed = 0
        self.coverage = Coverage()

    def faulty(self, case, shape, values):
        """With --fault, results as a backend with an error in one operation would return them."""
        if self.options.fault and values and re.search(self.options.fault, case.program.text()):
            values = [values[0] + 1] + list(values[1:])
        return shape, values

    def check(self, cases):
        """{name of a failing case: what is wrong}; a tool that fails on all cases is asked about fewer."""
        with tempfile.TemporaryDirectory(prefix="moe-random-") as folder:
            try:
                return self.check_together(cases, pathlib.Path(folder))
            except ToolError as error:
                if len(cases) == 1:
                    return {cases[0].name: str(error)}
        half = len(cases) // 2
        return self.check(cases[:half]) | self.check(cases[half:])

    def check_together(self, cases, folder):
        tensors = {}
        for case in cases:
            tensors |= case.program.tensors
        write_safetensors(folder / "data.safetensors", tensors)
        plain = folder / "plain.mlir"
        plain.write_text("".join(c.program.text() for c in cases))
        self.check_round_trips(plain, folder)
        if self.options.parse_only:
            return {}
        expected, errors = self.interpret(cases, plain, folder)
        if not self.options.interpret_only and int(cases[0].name[1:]) < self.options.compiled:
            errors = self.compile_and_run(cases, plain, expected, folder) | errors
        return errors

    def check_round_trips(self, plain, folder):
        text = tool("moe-opt", plain)
        (folder / "text.mlir").write_bytes(text)
        tool("moe-opt", folder / "text.mlir", "--emit-bytecode", "-o", folder / "text.mlirbc")
        for again in ("text.mlir", "text.mlirbc"):
            if tool("moe-opt", folder / again) != text:
                raise ToolError(f"moe-opt prints {again} of its own output differently")

    def interpret(self, cases, plain, folder):
        """The oracle's answers, and errors of pipelines that change them."""
        models = [plain]
        for name, noise in [("keys", None)] + [(f"noise{i}", i) for i in range(compare.NOISES)]:
            models.append(folder / f"{name}.mlir")
            models[-1].write_text("".join(c.build(noise, True).text() for c in cases))
        rng = random.Random(cases[0].seed)
        pipelines = variants(self.passes, rng)
        if self.options.variants < len(pipelines):
            whole = ("level 2", pipeline_text(self.passes))
            pipelines = [whole] + rng.sample(pipelines, self.options.variants)
        raw = tool("moe-random-evaluate", folder / "data.safetensors", *[f"--pipeline={p}" for _, p in pipelines], *models)
        records, problems = read_records(raw)
        if problems and len(cases) > 1:
            raise ToolError(problems[0][2])
        names = ["level 1", "with keys"] + ["noise"] * compare.NOISES + [name for name, _ in pipelines]
        if problems:
            raise ToolError(f"{names[problems[0][1]]}: {problems[0][2]}")
        expected, errors = {}, {}
        for case in cases:
            exact = records[1, case.name]
            noisy = [records[2 + i, case.name] for i in range(compare.NOISES)]
            expected[case.name] = e = compare.Expected(case.program, exact, noisy)
            self.unclear += bool(e.unclear)
            if self.options.fault and self.options.interpret_only:
                for result, record in exact.items():
                    wrong = result < len(case.program.results) and compare.compare(e, result, *self.faulty(case, *record))
                    if wrong:
                        errors.setdefault(case.name, f"planted: {wrong}")
            for first, second in case.program.equal:
                wrong = compare.compare_equal(e, first, second, {k: v for k, (_, v) in exact.items()})
                if wrong:
                    errors.setdefault(case.name, f"interpreter: {wrong}")
            for number, (name, _) in enumerate(pipelines, 2 + compare.NOISES):
                for result, record in records.get((number, case.name), {}).items():
                    wrong = compare.compare(e, result, *record, folded="moe-fold-softmax-top-k" in name)
                    if wrong:
                        errors.setdefault(case.name, f"interpreter {name}: {wrong}")
        return expected, errors

    def levels_of(self, cases):
        """All levels, or one: every second batch the best of the machine, the others in turn."""
        if not self.options.one_level:
            return self.levels
        turn, rest = divmod(int(cases[0].name[1:]) // self.options.batch, 2)
        return [self.levels[-1] if rest == 0 else self.levels[turn % len(self.levels)]]

    def compile_and_run(self, cases, plain, expected, folder):
        artefact = folder / "model.so"
        chosen = self.levels_of(cases)
        levels = [f"--level={level}" for level in chosen]
        tool("moe-compile", plain, *levels, "-o", artefact)
        errors = {}
        if self.options.twice:
            other = folder / "elsewhere"
            other.mkdir()
            tool("moe-compile", "../plain.mlir", *levels, "-o", "other.so", cwd=other)
            if artefact.read_bytes() != (other / "other.so").read_bytes():
                raise ToolError("moe-compile wrote two different artefacts")
        for case in cases:
            for level in chosen:
                try:
                    wrong = self.run(case, artefact, level, expected[case.name], folder)
                except ToolError as error:
                    wrong = str(error)
                if wrong:
                    errors.setdefault(case.name, f"{level}: {wrong}")
        return errors

    def run(self, case, artefact, level, expected, folder):
        inputs = [f"--input=@{folder}/data.safetensors:{case.name}.in{i}" for i in range(len(case.program.arguments))]
        bits = []
        for threads in (1, 2):
            outputs = [folder / f"{case.name}.{level}.{i}.{threads}.npy" for i in range(len(case.program.results))]
            command = ["moe-run", artefact, f"--function={case.name}", f"--level={level}", f"--threads={threads}",
                       f"--weights={folder}/data.safetensors", *inputs, *[f"--output=@{o}" for o in outputs]]
            tool(*command)
            bits.append([read_npy(o) for o in outputs])
        found = {}
        for i, (one, two) in enumerate(zip(*bits)):
            if one[2] != two[2]:
                return f"result {i} has other bits with 2 threads than with 1"
            wrong = compare.compare(expected, i, *self.faulty(case, one[0], one[1]), self.ratios)
            if wrong:
                return wrong
            found[i] = one[1]
        for first, second in case.program.equal:
            wrong = compare.compare_equal(expected, first, second, found)
            if wrong:
                return wrong
        if self.options.replay and "moe.dispatch" in case.program.text():
            return self.replay(command, outputs, [b[2] for b in bits[1]], folder)
        return None

    def replay(self, command, outputs, bits, folder):
        """A run that is recorded, and one that is told which experts tokens visit, have the bits of a run without either."""
        for option in ("--routing", "--replay"):
            try:
                tool(*command, f"{option}={folder}/routing.npz")
            except ToolError as error:
                if "has no routing" in str(error):
                    return None
                raise
            for i, output in enumerate(outputs):
                if output.read_bytes() != bits[i]:
                    return f"result {i} has other bits with {option}"
        self.replayed += 1
        return None


def report(checker, case, message, options):
    print(f"program {case.name} (seed {case.seed}) fails: {message}", flush=True)

    def kind(text):
        return re.sub(r" [(\[].*|/\S*/|[\d.]+", "", text)[:50]

    def fails(decisions):
        wrong = checker.check([Case(case.name, case.seed, decisions)])
        return bool(wrong) and kind(wrong[case.name]) == kind(message)

    decisions = case.decisions
    if options.reduce:
        decisions = reduce(case.decisions, fails, options.reduce)
    smaller = Case(case.name, case.seed, {k: v for k, v in decisions.items() if v})
    lines = len(smaller.program.lines)
    print(f"reduced from {len(case.program.lines)} to {lines} lines, T = {smaller.program.tokens}: {checker.check([smaller]).get(case.name)}")
    print(smaller.program.text())
    if options.save:
        folder = pathlib.Path(options.save)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{case.name}.mlir").write_text(smaller.program.text())
        write_safetensors(folder / f"{case.name}.safetensors", smaller.program.tensors)
    print(f"repeat: run.py --program '{json.dumps([case.name, case.seed, smaller.decisions])}'", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=20, help="programs in one module")
    parser.add_argument("--program", help="one program, as a failure prints it")
    parser.add_argument("--reduce", type=int, default=150, help="programs to try for a smaller one")
    parser.add_argument("--save", help="folder for failing programs and their data")
    parser.add_argument("--keep-going", action="store_true", help="look at all programs")
    parser.add_argument("--parse-only", action="store_true")
    parser.add_argument("--interpret-only", action="store_true")
    parser.add_argument("--compiled", type=int, default=1 << 30, help="compile only the first programs: 1 to 2 s each")
    parser.add_argument("--coverage", action="store_true", help="print how many programs have which construct")
    parser.add_argument("--verbose", action="store_true", help="progress on stderr")
    parser.add_argument("--variants", type=int, default=1 << 30, help="pipelines to try in each batch, besides the whole one")
    parser.add_argument("--fault", help="plant an error in programs whose text has this: it must be found and reduced")
    parser.add_argument("--one-level", action="store_true", help="compile each program for one level, in turns")
    parser.add_argument("--each", action="store_true", help="program i is the i-th of the equivalences, in turns")
    parser.add_argument("--flow", action="store_true", help="edits of routings also in branches and loops: other programs of the same seed")
    parser.add_argument("--replay", action="store_true", help="record the routings of each program and replay them: the same bits")
    parser.add_argument("--twice", action="store_true", help="compile each module twice and compare")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        passes = passes_of_pipeline(pathlib.Path(folder))
    checker = Checker(options, passes, machine_levels())
    if options.program:
        name, seed, decisions = json.loads(options.program)
        case = Case(name, seed, decisions)
        wrong = checker.check([case]).get(name)
        if wrong:
            report(checker, case, wrong, options)
        else:
            print(case.program.text(), "ok", sep="\n")
        return 1 if wrong else 0

    equivalences = [("", {})]
    if options.each:
        equivalences = [(f.__name__, {"program": kind, "which": i}) for kind, functions in EQUIVALENCES.items() for i, f in enumerate(functions)]

    def batch(first):
        cases = []
        for i in range(first, min(first + options.batch, options.first + options.count)):
            choices = Choices(random.Random(f"{options.seed}.{i}"), forced=equivalences[i % len(equivalences)][1], flow=options.flow)
            generate(f"p{i}", f"{options.seed}.{i}", choices)
            cases.append(Case(f"p{i}", f"{options.seed}.{i}", choices.made))
            checker.coverage.add(cases[-1].program.text())
        wrong = checker.check(cases)
        if options.verbose:
            print(f"{first + len(cases)} programs, {len(wrong)} of these {len(cases)} failed", file=sys.stderr, flush=True)
        return [(case, wrong[case.name]) for case in cases if case.name in wrong]

    started, failed = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for failures in pool.map(batch, range(options.first, options.first + options.count, options.batch)):
            for case, message in failures:
                failed += 1
                report(checker, case, message, options)
                if not options.keep_going:
                    pool.shutdown(cancel_futures=True)
                    return 1
    largest = max(checker.ratios, default=0.0)
    print(f"{options.count} programs, {failed} failed, {checker.unclear} with choices that depend on rounding, levels "
          f"{' '.join(checker.levels)}, largest difference {largest:.2f} of the allowed one, {time.monotonic() - started:.0f} s")
    if options.replay:
        print(f"{checker.replayed} replayed")
    for name, _ in equivalences if options.each else []:
        print(f"{len(range(options.first, options.first + options.count)[::len(equivalences)])} of {name}")
    if options.coverage:
        print(checker.coverage)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
