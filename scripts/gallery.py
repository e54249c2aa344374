"""Writes docs/routers.md and the table of examples/README.md from the first comments of examples/*.mlir.

usage: gallery.py EXAMPLES FOLDER    (writes FOLDER/routers.md and FOLDER/README.md)

The comment has a fixed form, over two lines or three; parts in brackets may be left out:

    // SYSTEM (SOURCE). Special: SENTENCE.
    // Normal form: score S; [key K;] select S; weight W; on output|input; [capacity C;] [experts X;] [also A.]
"""

import pathlib
import re
import sys

# Part, whether every router has it, title of its column.
PARTS = (
    ("score", True, "score"),
    ("key", False, "key, if not the score"),
    ("select", True, "selection"),
    ("weight", True, "weight"),
    ("on", True, "weight on"),
    ("capacity", False, "capacity and drop"),
    ("experts", False, "experts"),
    ("also", False, "also"),
)
# What a reader may look for, and how its text looks.
INDEX = (
    ("choose inside groups of experts", r"moe\.route .* groups "),
    ("experts choose tokens", r"moe\.route .* take "),
    ("as many experts as a threshold or a sum says", r"moe\.route .* (greater_than|at_least|top_p|nonzero)"),
    ("choose by another key than the score", r"moe\.route %\w+ by "),
    ("a table chooses", r"moe\.lookup"),
    ("given experts and weights", r"moe\.from_indices"),
    ("an auction", r"moe\.assign"),
    ("weights by own arithmetic", r"moe\.with_weights"),
    ("a factor per expert", r"moe\.scale %\w+ by %"),
    ("drop pairs by a mask", r"moe\.keep"),
    ("two choices joined", r"moe\.join"),
    ("capacity", r"moe\.limit"),
    ("the next choice when an expert is full", r"overflow next_choice"),
    ("sequences or groups apart", r" segments"),
    ("noise or sampling", r"(?i)noise|gumbel"),
    ("a balance loss", r"moe\.balance_loss"),
    ("other losses", r"moe\.(z_loss|cv_squared|noisy_load)"),
    ("several kinds of experts", r" range 0 to "),
    ("a routing inside an expert", r"; experts mixtures "),
    ("the weight on the input", r"moe\.dispatch .* weighted"),
    ("attention", r"moe\.attention"),
    ("a router that sees the layer before", r"%before: "),
)
TITLE = re.compile(r"(?P<system>.+?) \((?P<source>.+?)\)\. Special: (?P<special>.+)\. Normal form: (?P<form>.+)\.$")
TABLE = re.compile(r"(<!-- table: .*? -->\n).*?(<!-- end -->)", re.S)

INTRODUCTION = """<!-- Written by scripts/update-docs.sh from the first comments of examples/*.mlir. -->

# Gallery of routers

Every system is a row, every step of a router a column, and every row is a page of `examples/` that a test runs and compares with
numbers of the original program or of the published formula ([test/golden](../test/golden/README.md)). [language.md](language.md) explains the
steps. Logits are x Wᵀ where the checkpoint stores [out, in], x W where it stores [in, out]; "logits" alone are an input of the page.

An empty key is the score itself; an empty capacity means that an expert takes whoever comes.
"""


class Example:
    """What the first comment of an example says; `wrong` is what it does not."""

    def __init__(self, path):
        self.path, self.wrong, self.parts = path, [], {}
        self.text = path.read_text()
        lines = self.text.splitlines()
        comment = [line.removeprefix("//").strip() for line in lines[: next((i for i, l in enumerate(lines) if not l.startswith("//")), None)]]
        title = TITLE.match(" ".join(comment))
        if not title:
            self.wrong.append("expected `// SYSTEM (SOURCE). Special: ... Normal form: ....`")
            return
        self.system, self.source, self.special = title["system"], title["source"], title["special"]
        self.read(title["form"])

    def read(self, form):
        names = [name for name, _, _ in PARTS]
        last = -1
        for part in form.split("; "):
            name, _, text = part.partition(" ")
            if name not in names or not text:
                self.wrong.append(f"`{part}` is no part of a normal form; parts are {', '.join(names)}")
                continue
            if names.index(name) <= last:
                self.wrong.append(f"`{name}` stands twice or too late; the order is {', '.join(names)}")
            last = max(last, names.index(name))
            self.parts[name] = text
        self.wrong += [f"the normal form has no `{name}`" for name, needed, _ in PARTS if needed and name not in self.parts]
        if self.parts.get("on", "output") not in ("output", "input"):
            self.wrong.append(f"the weight is on `{self.parts['on']}`, expected output or input")


def row(cells):
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


def links(source):
    return re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", source)


def table(titles, rows):
    return row(titles) + row("---" for _ in titles) + "".join(row(cells) for cells in rows)


def link(example):
    return f"[{example.system}](../examples/{example.path.name})"


def index(examples):
    found = ([what, ", ".join(link(e) for e in examples if re.search(text, e.text))] for what, text in INDEX)
    return (cells for cells in found if cells[1])


def routers(examples):
    titles = ["system", *(title for _, _, title in PARTS)]
    rows = ([f"{link(e)}, {links(e.source)}", *(e.parts.get(name, "") for name, _, _ in PARTS)] for e in examples)
    return f"{INTRODUCTION}\n{table(titles, rows)}\n## Where to find what\n\n{table(['looked for', 'pages'], index(examples))}"


def readme(examples, folder):
    rows = ([f"`{e.path.name}`", e.system, e.special] for e in examples)
    return TABLE.sub(lambda found: found[1] + table(["file", "system", "what is special"], rows) + found[2], (folder / "README.md").read_text())


def main():
    folder, out = (pathlib.Path(argument) for argument in sys.argv[1:])
    examples = [Example(path) for path in folder.glob("*.mlir")]
    wrong = sorted(f"{e.path}: {what}" for e in examples for what in e.wrong)
    if wrong or not examples:
        print(*wrong, f"{len(examples)} examples, {len(wrong)} errors in their first comments", sep="\n", file=sys.stderr)
        return 1
    examples.sort(key=lambda e: (e.system.lower(), e.path.name))
    (out / "routers.md").write_text(routers(examples))
    (out / "README.md").write_text(readme(examples, folder))
    return 0


sys.exit(main())
