"""Fails on an include that breaks tools -> codegen -> passes -> dialect, or that gives runtime/ anything but itself.

usage: check_includes.py ROOT
"""

import pathlib
import re
import sys

# Folder -> project folders it may include from. codegen may also include runtime/Abi.h; test/ may include everything.
ALLOWED = {
    "dialect": {"dialect"},
    "passes": {"passes", "dialect"},
    "codegen": {"codegen", "passes", "dialect"},
    "runtime": {"runtime"},
    "tools": {"tools", "codegen", "passes", "dialect", "runtime"},
}
COMPILER = re.compile(r"^(mlir|llvm|lld|clang)(-c)?/")
INCLUDE = re.compile(r'^\s*#?\s*include\s*["<]([^">]+)[">]')


def broken(root, file, target):
    """What is wrong with this include, or None."""
    folder = file.relative_to(root).parts[0]
    if folder == "runtime" and COMPILER.match(target):
        return "runtime/ may not include compiler headers"
    neighbour = (file.parent / target).resolve()
    path = neighbour.relative_to(root.resolve()) if neighbour.exists() else pathlib.PurePosixPath(target)
    wanted = path.parts[0]
    if wanted not in ALLOWED or wanted in ALLOWED[folder]:
        return None
    if folder == "codegen" and str(path) == "runtime/Abi.h":
        return None
    return f"{folder}/ may include from {', '.join(sorted(ALLOWED[folder]))}, not from {wanted}/"


def main():
    root = pathlib.Path(sys.argv[1])
    files = [p for folder in ALLOWED for p in sorted((root / folder).rglob("*")) if p.suffix in {".h", ".cpp", ".c", ".td"}]
    errors = 0
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            include = INCLUDE.match(line)
            reason = include and broken(root, file, include.group(1))
            if reason:
                print(f"{file.relative_to(root)}:{number}: includes {include.group(1)}: {reason}")
                errors += 1
    print(f"{len(files)} files, {errors} wrong includes")
    return 1 if errors or not files else 0


sys.exit(main())
