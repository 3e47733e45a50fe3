#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header of uapi/ and libnpu/include compiles alone, in each language that its users write.

The compilers come from the environment (CC, CXX). npu.hpp is C++ only; .def tables are included by headers, never alone."""
import os
import subprocess
import sys
import tempfile

import tree

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
# (folder, suffix) -> language modes
MODES = [
    ("uapi/", ".h", ["c17", "c++20"]),
    ("libnpu/include/", ".h", ["c11", "c++17"]),
    ("libnpu/include/", ".hpp", ["c++20"]),
]


def compile_alone(root, path, standard):
    """Compiler messages, empty when |path| compiles twice in a row (guards work) and with nothing before it."""
    plus = standard.startswith("c++")
    compiler = os.environ.get("CXX" if plus else "CC") or ("c++" if plus else "cc")
    with tempfile.NamedTemporaryFile("w", suffix=".cpp" if plus else ".c") as unit:
        unit.write(f'#include "{path}"\n#include "{path}"\ntypedef int not_empty;\n')
        unit.flush()
        command = [compiler, f"-std={standard}", *WARNINGS, "-I", root, "-I", os.path.join(root, "libnpu/include"), unit.name]
        result = subprocess.run(command, capture_output=True, text=True)
    return result.stderr.strip() if result.returncode else ""


def check(root, files):
    count = 0
    for folder, suffix, standards in MODES:
        for path in files:
            if not path.startswith(folder) or not path.endswith(suffix):
                continue
            for standard in standards:
                count += 1
                message = compile_alone(root, path, standard)
                if message:
                    yield f"{path}:1: does not compile alone as {standard}:\n{message}"
    print(f"{count} compilations", file=sys.stderr)


if __name__ == "__main__":
    tree.main("a header does not stand alone", check)
