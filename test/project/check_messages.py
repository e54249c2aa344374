"""Fails when no test expects an error message of dialect/ or passes/.

usage: check_messages.py ROOT

A message is the string literals of one emitOpError(...) or emitError(...) statement; whatever is streamed between them
matches anything. A test expects it with `expected-error`, or with a CHECK line that says `error:`. In
`emitOpError(c ? "a" : "b")` both a and b are messages.
"""

import pathlib
import re
import sys

EMIT = re.compile(r"\bemit(?:Op)?Error\b(?=\s*\()")
TOKEN = re.compile(r'R"\((?P<raw>.*?)\)"|"(?P<string>(?:\\.|[^"\\])*)"|\'(?:\\.|[^\'\\])\'|//[^\n]*|<<|[()\[\]{};?:]|\s+|[^\s"\'()\[\]{};?:<]+|.', re.S)
ESCAPES = {r"\"": '"', r"\\": "\\", r"\n": "\n", r"\t": "\t"}


def messages(text, start):
    """The fragments of each message that the statement at `start` can print."""
    alternatives, fragments, depth = [], [], 0
    joined = alternative = in_call = False
    for token in TOKEN.finditer(text, start):
        word = token.group()
        if word.isspace() or word.startswith("//"):
            continue
        string = token.group("raw") if token.group("raw") is not None else token.group("string")
        # Literals count in the call itself and streamed after it, not in nested calls.
        if string is not None and (depth == 0 or (depth == 1 and in_call)):
            string = re.sub(r"\\.", lambda m: ESCAPES.get(m.group(), m.group()), string)
            if alternative:
                alternatives.append(string)
            elif joined:
                fragments[-1] += string
            else:
                fragments.append(string)
            joined = True
            continue
        if word in "([{":
            in_call = in_call or (depth == 0 and not fragments and word == "(")
            depth += 1
        elif word in ")]}":
            depth -= 1
            in_call = in_call and depth > 0
        elif word == "?" and depth == 1 and in_call:
            alternative = True
        if depth < 0 or (word == ";" and depth <= 0):
            break
        # "a" "b" is one literal; so is emitOpError("a") << "b".
        joined = joined and word in {")", "<<", "?", ":"}
    return [[a] + fragments for a in alternatives] or [fragments]


def expects(line, fragments):
    at = 0
    for fragment in fragments:
        at = line.find(fragment, at)
        if at < 0:
            return False
        at += len(fragment)
    return True


def main():
    root = pathlib.Path(sys.argv[1])
    expected = []
    for path in sorted((root / "test").rglob("*")):
        if path.suffix in {".mlir", ".test"} and "Inputs" not in path.parts[len(root.parts):]:
            for line in path.read_text().splitlines():
                if "expected-error" in line or re.search(r"CHECK.*error:", line):
                    expected.append(line.replace("\\", "") if "expected-error-re" in line else line)
    found = missing = 0
    for path in sorted([*(root / "dialect").glob("*.cpp"), *(root / "passes").glob("*.cpp")]):
        text = path.read_text()
        for emit in EMIT.finditer(text):
            for fragments in messages(text, emit.end()):
                fragments = [f for f in fragments if f.strip()]
                if not fragments:
                    continue  # a declaration, or a message that is all computed
                found += 1
                fragments[-1] = fragments[-1].rstrip()
                if not any(expects(line, fragments) for line in expected):
                    line = text.count("\n", 0, emit.start()) + 1
                    print(f"{path.relative_to(root)}:{line}: no test expects: {'…'.join(fragments)}")
                    missing += 1
    print(f"{found} messages, {missing} without a test")
    return 1 if missing or not found else 0


sys.exit(main())
