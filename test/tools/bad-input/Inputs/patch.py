"""Copies a file with one byte string replaced by another of the same length; it must be there.

usage: patch.py FROM TO OLD NEW      (OLD and NEW with Python's escapes: MOEMLIR\\x00\\x01)
"""

import pathlib
import sys

source, target = sys.argv[1:3]
old, new = (text.encode().decode("unicode_escape").encode("latin-1") for text in sys.argv[3:5])
data = pathlib.Path(source).read_bytes()
if old not in data or len(old) != len(new):
    sys.exit(f"{source}: {old!r} is not there, or {new!r} has another length")
pathlib.Path(target).write_bytes(data.replace(old, new))
