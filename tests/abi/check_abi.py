#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Today's public headers against those of the oldest release, by abidiff. Each set of headers becomes a library of empty functions, so that no generated
description has to be kept. 77: abidiff is not installed."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

DECLARATION = re.compile(r"^NPU_API\s[^;{}]*;", re.MULTILINE)
# What is allowed: a struct that begins with struct_size may grow at its end.
SUPPRESSIONS = """[suppress_type]
  type_kind = struct
  name_regexp = ^npu[A-Z].*
  has_data_member_inserted_at = end
"""


def empty_library(options, include, folder, name):
    """A library with all functions that the umbrella header of |include| declares."""
    text = ['#include <npu/npu.h>']
    headers = re.findall(r"#include <(npu/[a-z_]+\.h)>", open(os.path.join(include, "npu/npu.h"), encoding="utf-8").read())
    for header in headers:
        with open(os.path.join(include, header), encoding="utf-8") as file:
            text += [found.group(0)[:-1] + " { return 0; }" for found in DECLARATION.finditer(file.read())]
    source, library = os.path.join(folder, name + ".c"), os.path.join(folder, name + ".so")
    with open(source, "w", encoding="utf-8") as file:
        file.write("\n".join(text) + "\n")
    subprocess.run([*options.cc.split(), "-std=c11", "-g", "-fno-eliminate-unused-debug-types", "-shared", "-fPIC", "-w", "-I", include, source,
                    "-o", library, "-Wl,-soname,libnpu.so.1"], check=True)
    return library, len(text) - 1


def difference(old, new, folder):
    suppressions = os.path.join(folder, "suppressions")
    with open(suppressions, "w", encoding="utf-8") as file:
        file.write(SUPPRESSIONS)
    return subprocess.run(["abidiff", "--suppressions", suppressions, "--no-added-syms", "--no-show-locs", old, new], capture_output=True, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--cc", "--oldest", "--headers"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    if not shutil.which("abidiff"):
        print("skipped: abidiff (package abigail-tools) is not installed", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        old, count = empty_library(options, options.oldest, folder, "old")
        new, now = empty_library(options, options.headers, folder, "new")
        done = difference(old, new, folder)
        print(f"{count} functions of the oldest release, {now} now")
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            return 1
        # The judge sees what it should: a struct with a member moved, and a function with another parameter.
        damaged = os.path.join(folder, "damaged")
        shutil.copytree(options.oldest, damaged)
        for header, before, after in (("npu_queue.h", "npuQueuePriority priority;\n", ""), ("npu_memory.h", "uint64_t size_bytes,\n", "uint32_t size_bytes,\n")):
            path = os.path.join(damaged, "npu", header)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            assert before in text, f"{header} has no '{before.strip()}' to damage"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(before, after, 1))
            bad, _ = empty_library(options, damaged, folder, "bad-" + header)
            if difference(old, bad, folder).returncode == 0:
                print(f"abidiff did not see the damage of {header}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
