"""Prints what each loop over matrix tiles does in the assembly text on standard input, one line for each kind of loop.

Only instructions between a label and the jump back to it count, so a tile that is spilled there shows.
"""

import collections
import re
import sys

loops = set()
label, body = None, []
for line in sys.stdin:
    if match := re.match(r"(\.L\w+):", line):
        label, body = match[1], []
    elif match := re.match(r"\s+(\w+)(.*)", line):
        body.append(match[1])
        if match[1].startswith("j"):
            if match[2].strip() == label and any(name.startswith("tdp") for name in body):
                kinds = ("ldtilecfg", "tilezero", "tileloadd", "tilestored", "prefetcht0", "prefetcht1", "tdpbf16ps", "tdpbusd")
                counts = collections.Counter(name for name in body if name in kinds)
                loops.add(", ".join(f"{counts[kind]} {kind}" for kind in kinds if counts[kind]))
            label = None
print("\n".join(sorted(loops)))
