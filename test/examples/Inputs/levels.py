"""Runs a compiled model on every instruction set level that lit found on this machine.

usage: levels.py MODEL.so OPTIONS...    (options of moe-run)
An artefact has avxvnni and amx only if they do something for its model; where it has not, they are left out.
"""
import os
import pathlib
import re
import subprocess
import sys

has = re.search(rb'"levels":\[([^\]]*)\]', pathlib.Path(sys.argv[1]).read_bytes())[1].decode()
levels = [level for level in os.environ["MOE_TEST_LEVELS"].split() if level not in ("avxvnni", "amx") or f'"{level}"' in has]
wrong = [level for level in levels if subprocess.run(["moe-run", *sys.argv[1:], f"--level={level}"]).returncode]
print(f"levels: {' '.join(levels)}; wrong: {' '.join(wrong) or 'none'}")
sys.exit(bool(wrong))
