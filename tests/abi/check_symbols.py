#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The exported symbols of a library are exactly those of a list, all begin with 'npu', and the stripped library is small."""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile


def exported(nm, library):
    out = subprocess.run([nm, "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1].split("@")[0] for line in out.splitlines() if line.split()[1] != "A"}
    return names


def stripped_bytes(library):
    strip = shutil.which("strip")
    if not strip:
        return os.path.getsize(library)
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy.so")
        subprocess.run([strip, "-o", copy, library], check=True)
        return os.path.getsize(copy)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--nm", "--library", "--expected"):
        parser.add_argument(name, required=True)
    parser.add_argument("--limit-bytes", type=int, help="of the stripped library")
    options = parser.parse_args()
    with open(options.expected, encoding="utf-8") as file:
        expected = {line.strip() for line in file if line.strip() and not line.startswith("#")}
    found = exported(options.nm, options.library)
    problems = [f"{name}: gone from the library" for name in sorted(expected - found)]
    problems += [f"{name}: exported, but not in {options.expected}" for name in sorted(found - expected)]
    problems += [f"{name}: not a name of ours" for name in sorted(found) if not name.startswith("npu")]
    size = stripped_bytes(options.library)
    if options.limit_bytes and size > options.limit_bytes:
        problems.append(f"the stripped library has {size} bytes; the budget is {options.limit_bytes}")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(found)} symbols, {size} bytes stripped")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
