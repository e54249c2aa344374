"""Fails when files of a library use each other in a circle, so that none of them can be read first.

usage: check_layers.py LIBRARY.a...

A file uses another when it needs a symbol that the other defines; what headers define inline is nobody's.
"""

import pathlib
import re
import subprocess
import sys

SYMBOL = re.compile(r":(?P<file>[^:]+)\.o: \s*[0-9a-f]* (?P<kind>[A-Za-z]) (?P<name>\S+)$")


def uses(library):
    """File -> files that it uses."""
    listing = subprocess.run(["llvm-nm", "--print-file-name", library], check=True, capture_output=True, text=True).stdout
    symbols = [s.group("file", "kind", "name") for s in map(SYMBOL.search, listing.splitlines()) if s]
    definer = {name: file for file, kind, name in symbols if kind in "TDBR"}
    graph = {file: set() for file, _, _ in symbols}
    for file, kind, name in symbols:
        if kind == "U" and definer.get(name, file) != file:
            graph[file].add(definer[name])
    return graph


def circles(graph):
    """The files in circles and between them: what is left without those that nothing left uses, or that use nothing left."""
    left = dict(graph)
    while True:
        used = set().union(*left.values())
        ends = {file for file, others in left.items() if not others & left.keys() or file not in used}
        if not ends:
            return left
        left = {file: others - ends for file, others in left.items() if file not in ends}


def main():
    files = errors = 0
    for library in sys.argv[1:]:
        graph = uses(library)
        files += len(graph)
        for file, others in sorted(circles(graph).items()):
            print(f"{pathlib.Path(library).name}: {file} is in a circle or between two, it uses {', '.join(sorted(others))}")
            errors += 1
    print(f"{files} files, {errors} in circles")
    return 1 if errors or not files else 0


sys.exit(main())
