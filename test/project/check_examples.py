"""Fails when an operation in a generated page has no ```mlir example that uses it.

usage: check_examples.py PAGE
"""

import pathlib
import re
import sys


def main():
    sections = re.split(r"^### `([\w.]+)` \(.*\)$", pathlib.Path(sys.argv[1]).read_text(), flags=re.M)
    missing = []
    for name, body in zip(sections[1::2], sections[2::2]):
        if not any(f"{name} " in example for example in re.findall(r"```mlir\n(.*?)```", body, re.S)):
            missing.append(name)
    print(*(f"{name}: no example that uses it" for name in missing), sep="\n")
    print(f"{len(sections) // 2} operations, {len(missing)} without an example")
    return 1 if missing or len(sections) < 3 else 0


sys.exit(main())
