"""Fails when a pass does not carry one name in three spellings: passes/FuseGather.cpp, --moe-fuse-gather,
test/passes/fuse-gather.mlir; or when nothing tests what it must leave alone.

usage: check_names.py ROOT

The second test is fuse-gather-invalid.mlir, or a function @not_... in fuse-gather.mlir.
"""

import pathlib
import re
import sys

PASS = re.compile(r'^def \w+\s*:\s*Pass<"([^"]+)"', re.M)


def main():
    root = pathlib.Path(sys.argv[1])
    errors, passes = [], 0
    for table in sorted(root.glob("*/**/Passes.td")):
        folder = table.parent
        if "Inputs" in folder.parts[len(root.parts):]:
            continue
        where = folder.relative_to(root)
        for option in PASS.findall(table.read_text()):
            passes += 1
            if not option.startswith("moe-"):
                errors.append(f"--{option}: expected a name that starts with moe-")
                continue
            name = option.removeprefix("moe-")
            source = where / ("".join(word.capitalize() for word in name.split("-")) + ".cpp")
            # Acronyms may be written in capitals: LowerToLLVM.cpp is --moe-lower-to-llvm.
            if str(source.name).lower() not in {file.name.lower() for file in folder.glob("*.cpp")}:
                errors.append(f"--{option}: there is no {source}")
            test, invalid = (root / "test" / where / f"{name}{suffix}.mlir" for suffix in ("", "-invalid"))
            if not test.exists():
                errors.append(f"--{option}: there is no {test.relative_to(root)}")
            elif f"-{option}" not in test.read_text():
                errors.append(f"{test.relative_to(root)}: does not run --{option}")
            elif not invalid.exists() and "func @not_" not in test.read_text():
                errors.append(f"--{option}: neither {invalid.relative_to(root)} nor a function @not_... in {test.name}")
    print(*errors, f"{passes} passes, {len(errors)} wrong names", sep="\n")
    return 1 if errors or not passes else 0


sys.exit(main())
