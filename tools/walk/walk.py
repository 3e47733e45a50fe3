# SPDX-License-Identifier: Apache-2.0
"""Prints the walk of one launch while a program makes it: a breakpoint at each `file : function` of ARCHITECTURE.md's tables, told of when it is reached for the first time.

Runs inside gdb, as ./dev trace does: gdb -q -batch -x tools/walk/walk.py --args PROGRAM ARGUMENTS
The hops of the launch are watched from its first one on: what comes before goes the same way, and is not meant. Ends with the exit status of the program.
"""
import os
import re
import sys
import time

import gdb

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OPEN, LAUNCH = "open", "launch"
TABLES = {"The way to a device": OPEN, "The walk of one launch": LAUNCH}
POINTER = re.compile(r"`([\w./+-]+\.(?:cpp|h)) : ([\w:~, ]+)`")
SETTINGS = ("pagination off", "confirm off", "breakpoint pending on", "print inferior-events off", "print thread-events off", "debuginfod enabled off")


def hops(text):
    """(table, number of the row, file, function) of each pointer in the rows of TABLES."""
    table = None
    for line in text.splitlines():
        if line.startswith("## "):
            table = TABLES.get(line[3:])
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if table is None or not cells or not re.match(r"\d+\w?$", cells[0]):
            continue
        for file, functions in POINTER.findall(line):
            for function in functions.split(", "):
                yield table, cells[0], file, function


def say(text):
    """Past gdb, whose own output is kept back, and in order with that of the program."""
    os.write(1, (text + "\n").encode())


class Walk:
    def __init__(self, all_hops):
        self.begin = time.monotonic()
        self.reached = set()
        self.hops = [Hop(self, hop) for hop in all_hops]
        launch = [hop for hop in self.hops if hop.table == LAUNCH]
        self.first = launch[0]
        for hop in launch[1:]:
            hop.enabled = False

    def reach(self, hop):
        ms = (time.monotonic() - self.begin) * 1000
        say(f"{ms:7.1f} ms  {gdb.selected_thread().name:<15}  {hop.table:<6} {hop.row:>3}  {hop.file} : {hop.function}")
        self.reached.add(hop)
        hop.enabled = False
        if hop is self.first:
            for other in self.hops:
                other.enabled = other not in self.reached


class Hop(gdb.Breakpoint):
    """One place, which the program passes without stopping. Overloads and inlined copies are places of the same breakpoint."""

    def __init__(self, walk, hop):
        self.table, self.row, self.file, self.function = hop
        super().__init__(source=self.file, function=self.function, internal=True)
        self.silent = True
        self._walk = walk

    def stop(self):
        if self not in self._walk.reached:
            self._walk.reach(self)
        return False


def set_breakpoints():
    """gdb tells of each file that it does not know yet, because its library is loaded later."""
    with open(os.path.join(ROOT, "ARCHITECTURE.md"), encoding="utf-8") as text:
        all_hops = list(hops(text.read()))
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        return Walk(all_hops)
    finally:
        gdb.flush(gdb.STDERR)
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def exit_status():
    """Of the program. One that is still there has got a signal, which gdb has told of."""
    if gdb.selected_inferior().pid != 0:
        say(gdb.execute("bt", to_string=True))
        return 1
    code = gdb.convenience_variable("_exitcode")
    return 1 if code is None else int(code)


def main():
    for setting in SETTINGS:
        gdb.execute(f"set {setting}")
    walk = set_breakpoints()
    try:
        gdb.execute("run", to_string=True)
    except gdb.error as error:
        say(f"trace: {error}")
        return 1
    if walk.first not in walk.reached:
        say(f"trace: no launch: the program did not call {walk.first.function}")
        return exit_status() or 1
    left = [hop for hop in walk.hops if hop not in walk.reached]
    for table in (OPEN, LAUNCH):
        names = ", ".join(f"{hop.row} {hop.function}" for hop in left if hop.table == table)
        if names:
            say(f"not on the way of this {table}: {names}")
    return exit_status()


gdb.execute(f"quit {main()}")
