"""Runs a command that must end with a given status: its output is printed, any other status or a signal is a failure.

usage: exits.py STATUS COMMAND ARGUMENT...
"""

import subprocess
import sys

wanted, command = int(sys.argv[1]), sys.argv[2:]
try:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
except subprocess.TimeoutExpired:
    sys.exit(f"still running after 120 s: {command}")
sys.stdout.buffer.write(done.stdout)
sys.stdout.flush()
if done.returncode != wanted:
    kind = "signal" if done.returncode < 0 else "exit status"
    sys.exit(f"{kind} {abs(done.returncode)}, wanted exit status {wanted}: {command}")
