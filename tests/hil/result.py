#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ctest runs after the machine was booted; prints what the guest said and ends with the guest's exit code.

    result.py RUN test NAME     one test of the plan
    result.py RUN finish        the plan came to its end, the machine went off by itself, the device servers ended well
    result.py RUN dmesg         the kernel's log has no warning, bug, lock report or leak
"""
import json
import os
import re
import sys

import dmesg

FAILED = 1
CONTEXT_LINES = 25


def test(run, name):
    base = os.path.join(run, "results", name)
    if not os.path.exists(base + ".json"):
        print(f"the guest left no result of '{name}'; the machine ended before or during it: {run}/dmesg.log, {run}/console.log")
        return FAILED
    with open(base + ".json", encoding="ascii") as stream:
        result = json.load(stream)
    with open(base + ".out", encoding="utf-8") as stream:
        sys.stdout.write(stream.read())
    print(f"guest: exit code {result['code']} after {result['milliseconds']} ms")
    return result["code"]


def finish(run):
    with open(os.path.join(run, "results", "finish.json"), encoding="ascii") as stream:
        result = json.load(stream)
    print(f"the run took {result['seconds']} s; logs: {run}")
    for line in result["trouble"]:
        print(line)
    return FAILED if result["trouble"] else 0


def check_log(run):
    path = os.path.join(run, "dmesg.log")
    with open(path, encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    if not any("Linux version" in line for line in lines):
        print(f"{path} does not hold a kernel's log from its first line on, so nothing can be said about it")
        return FAILED
    found = dmesg.defects(lines)
    shown = 0
    for number, line in found:
        if number > shown:
            print("\n".join(f"{path}:{n}: {lines[n - 1]}" for n in range(number, min(number + CONTEXT_LINES, len(lines) + 1))))
            shown = number + CONTEXT_LINES
    print(f"{len(lines)} lines, {len(found)} that report a defect")
    return FAILED if found else 0


def main():
    words = sys.argv[1:]
    if len(words) == 3 and words[1] == "test" and re.fullmatch(r"[A-Za-z0-9_.-]+", words[2]):
        return test(words[0], words[2])
    if len(words) == 2 and words[1] in ("finish", "dmesg"):
        return finish(words[0]) if words[1] == "finish" else check_log(words[0])
    raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
