"""Fails when a source file does not begin with a comment that says its idea, is longer than 600 lines, or has
unfinished work in it.

usage: check_files.py ROOT
"""

import pathlib
import re
import sys

COMMENT = {".h": ("//", "/*"), ".cpp": ("//", "/*"), ".c": ("//", "/*"), ".td": ("//",), ".mlir": ("//",), ".sh": ("#",)}
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
FOLDERS = ("dialect", "passes", "codegen", "runtime", "tools", "examples", "scripts", "bench", "test")


def main():
    root = pathlib.Path(sys.argv[1])
    files = [p for folder in FOLDERS for p in sorted((root / folder).rglob("*")) if p.suffix in COMMENT]
    files = [p for p in files if "Inputs" not in p.parts[len(root.parts):]]
    errors = []
    for file in files:
        lines = file.read_text().splitlines()
        name = file.relative_to(root)
        code = lines[1:] if lines and lines[0].startswith("#!") else lines
        if file.suffix != ".mlir" and not (code and code[0].startswith(COMMENT[file.suffix])):
            errors.append(f"{name}:1: expected a comment that says the idea of the file")
        if len(lines) > 600:
            errors.append(f"{name}: has {len(lines)} lines, expected at most 600")
        errors += [f"{name}:{i}: {m[0]}" for i, line in enumerate(lines, 1) if (m := UNFINISHED.search(line))]
    print(*errors, f"{len(files)} files, {len(errors)} errors", sep="\n")
    return 1 if errors or not files else 0


sys.exit(main())
