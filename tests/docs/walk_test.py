#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""walk_test.py PROGRAM: a launch of the program passes the hops of ARCHITECTURE.md, in their order on each side. Exit status 77: gdb is missing, or may not trace."""
import os
import re
import shutil
import subprocess
import sys

HOP = re.compile(r"^ *[\d.]+ ms +(\S+) +(open|launch) +(\d+\w?)  (\S+) : (\S+)$", re.MULTILINE)
# Only where somebody sleeps, or work is shared; the other roads; and what the compiler puts into its caller, where gdb finds nothing.
SOMETIMES = {"3a", "3c", "5 Scheduler::sleep", "6 Scheduler::be_visited", "12 Scheduler::urgent", "13", "17", "18", "19", "10 PreparedLaunches::find", "12 LaunchEngine::run"}
HOST = ["1", "2", "3", "4", "5"]
DEVICE = ["7", "8", "9", "10", "11", "12", "14", "16"]


def main():
    if shutil.which("gdb") is None:
        return 77
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/walk/walk.py")
    done = subprocess.run(["gdb", "-q", "-batch", "-x", script, "--args", *sys.argv[1:]], env={**os.environ, "NPU_DEVICE": "inproc:tiny"},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100, check=False)
    print(done.stdout)
    if "ptrace" in done.stdout and "not permitted" in done.stdout:
        return 77
    assert done.returncode == 0, done.returncode
    rows = [row for _, table, row, _, _ in HOP.findall(done.stdout) if table == "launch"]
    for side in (HOST, DEVICE):
        places = [rows.index(row) for row in side]
        assert places == sorted(places), (side, rows)
    missed = [name for line in re.findall(r"^not on the way of this \w+: (.*)$", done.stdout, re.MULTILINE) for name in line.split(", ")]
    for name in missed:
        assert name in SOMETIMES or name.split()[0] in SOMETIMES, f"{name}: ARCHITECTURE.md has it, the launch does not"
    return 0


sys.exit(main())
