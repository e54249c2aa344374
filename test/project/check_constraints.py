"""Fails when a constraint (C1), (C2), ... that the documentation of an op or type numbers is not checked or not tested.

usage: check_constraints.py ROOT

The label must stand in the verifier of the op (or type), or in a comment that names the op: `// moe.expert (C1)`; and in a
negative test, in such a comment.
"""

import pathlib
import re
import sys

DEFINITION = re.compile(r"^def \w+_(\w+?)(?:Op|Type) : (\w+?)_(?:\w*)<(.*?)\n}", re.M | re.S)
VERIFIER = re.compile(r"^LogicalResult\s+(?:\w+::)?(\w+?)(?:Op|Type)::verify\w*\(.*?(?:^}|;[^\n]*\}$|;[^\n]*\} // [^\n]*$)", re.M | re.S)
MENTION = re.compile(r"// ((?:!?\w+\.\w+(?:, )?)+) ((?:\(C\d+\)(?:, )?)+)")
LABEL = re.compile(r"\(C\d+\)")


def mentions(text):
    return {(name, label) for names, labels in MENTION.findall(text)
            for name in names.split(", ") for label in LABEL.findall(labels)}


def documented(folder):
    """(op or !type, C++ name, label) of every numbered constraint."""
    for path in sorted(folder.glob("*.td")):
        for cxx, dialect, body in DEFINITION.findall(path.read_text()):
            mnemonic = re.search(r'let mnemonic = "(\w+)"', body)
            operation = re.match(r'"(\w+)"', body)
            is_type = mnemonic is not None or body.startswith('"Routing"') or body.startswith('"Scope"')
            word = mnemonic.group(1) if mnemonic else re.findall(r'"(\w+)"', body)[1 if is_type else 0]
            name = f"{'!' if is_type else ''}{dialect.lower()}.{word}"
            for label in re.findall(r"\* (\(C\d+\))", body):
                yield name, cxx, dialect.lower(), label


def main():
    root = pathlib.Path(sys.argv[1])
    checked, wrong, found = set(), [], 0
    for path in sorted((root / "dialect").glob("*.cpp")):
        text = path.read_text()
        checked |= mentions(text)
        dialect = "grouped" if path.name.startswith("Grouped") else "moe"
        for verifier in VERIFIER.finditer(text):
            checked |= {(f"{dialect}::{verifier.group(1)}", label) for label in LABEL.findall(verifier.group())}
    tested = set()
    for path in sorted((root / "test" / "dialect").glob("*-invalid.mlir")):
        tested |= mentions(path.read_text())
    for name, cxx, dialect, label in documented(root / "dialect"):
        found += 1
        if (name, label) not in checked and (f"{dialect}::{cxx}", label) not in checked:
            wrong.append(f"{name} {label}: no verifier has this label")
        if (name, label) not in tested:
            wrong.append(f"{name} {label}: no negative test has this label")
    print(*wrong, f"{found} constraints, {len(wrong)} labels missing", sep="\n")
    return 1 if wrong or not found else 0


sys.exit(main())
