"""Runs a compiled model on every instruction set level that lit found on this machine.

usage: levels.py MODEL.so OPTIONS...    (options of moe-run)
"""
import os
import subprocess
import sys

levels = os.environ["MOE_TEST_LEVELS"].split()
wrong = [level for level in levels if subprocess.run(["moe-run", *sys.argv[1:], f"--level={level}"]).returncode]
print(f"levels: {' '.join(levels)}; wrong: {' '.join(wrong) or 'none'}")
sys.exit(bool(wrong))
