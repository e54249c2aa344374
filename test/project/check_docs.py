"""Runs the examples of the documentation.

usage: check_docs.py PAGE...

Every ```mlir block is a whole module: moe-opt must accept it, and print the same text again when it reads what it
printed; under a line `<!-- FILE -->` it must also be the text of that file. A ```sh block under a line `<!-- tested -->`
is run by bash and must exit with 0; it runs in a temporary folder where the folders of the project are linked. A block under a
line `<!-- printed -->` is what the last such command prints; names after %, comments, spaces and line ends do not count, and
... stands for anything.
"""

import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.S | re.M)
ROOT = pathlib.Path(__file__).resolve().parents[2]


def blocks(page):
    text = page.read_text()
    printed = []
    for block in BLOCK.finditer(text):
        body = re.sub(f"^{block['indent']}", "", block["body"], flags=re.M)
        where = f"{page.name}:{text.count(chr(10), 0, block.start()) + 1}"
        mark = re.search(r"<!-- (\S+) -->\n$", text[: block.start()])
        if block["language"] == "mlir":
            yield run_mlir, where, body, ROOT / mark[1] if mark else None
        elif mark and mark[1] == "tested":
            printed = []
            yield run_sh, where, body, printed
        elif mark and mark[1] == "printed":
            printed.append((where, body))


def moe_opt(text):
    return subprocess.run(["moe-opt", "-"], input=text, capture_output=True, text=True)


def run_mlir(where, body, file, scratch):
    if file and file.read_text() != body:
        return f"{where}: is not the text of {file.relative_to(ROOT)}"
    first = moe_opt(body)
    if first.returncode:
        return f"{where}: moe-opt refuses this module:\n{first.stderr}"
    second = moe_opt(first.stdout)
    if second.stdout != first.stdout:
        return f"{where}: moe-opt prints another text after reading its own:\n{first.stdout}\n---\n{second.stdout}{second.stderr}"
    return None


def plain(text):
    """Without names after %, comments, and more than one space."""
    return " ".join(re.sub(r"%[\w.]+", "%", re.sub(r"#.*", "", text)).split())


def run_sh(where, body, printed, scratch):
    shell = subprocess.run(["bash", "-euo", "pipefail", "-c", body], cwd=scratch, capture_output=True, text=True)
    output = shell.stdout + shell.stderr
    if shell.returncode:
        return f"{where}: exit status {shell.returncode}:\n{output}"
    for where, text in printed:
        parts = [re.escape(part.strip()) for part in plain(text).split("...")]
        if not re.search(".*".join(parts), plain(output)):
            return f"{where}: is not what the command prints:\n{output}"
    return None


def check(found, scratch):
    """What is wrong with the blocks."""
    for folder in ("build", "docs", "examples", "scripts", "test"):
        (scratch / folder).symlink_to(ROOT / folder)
    # Commands run in the order of the text, since later ones use files of earlier ones; models do not wait.
    models = [block for block in found if block[0] is run_mlir]
    commands = [block for block in found if block[0] is run_sh]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        checked = pool.map(lambda block: block[0](*block[1:], scratch), models)
        return list(filter(None, [*(block[0](*block[1:], scratch) for block in commands), *checked]))


def main():
    found = [block for page in sys.argv[1:] for block in blocks(pathlib.Path(page))]
    with tempfile.TemporaryDirectory(prefix="moe-docs-") as scratch:
        wrong = check(found, pathlib.Path(scratch))
    print(*sorted(wrong), f"{len(found)} examples, {len(wrong)} wrong", sep="\n")
    return 1 if wrong or not found else 0


sys.exit(main())
