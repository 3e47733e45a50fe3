#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header of uapi/ and libnpu/include compiles alone, in each language that its users write; no struct of uapi/ has a hole.

Holes are found by gcc -Wpadded (clang does not report structs that nobody uses). A struct with a pointer is a table of the host, not
something that two sides share, and may have them. The compilers come from the environment (CC, CXX). npu.hpp is C++ only; .def tables are included by headers, never alone."""
import os
import re
import shutil
import subprocess
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


def holes(root, files):
    """Padding that the compiler adds to a shared struct: a byte that nobody writes leaks, and differs between compilers."""
    headers = [path for path in files if path.startswith("uapi/") and path.endswith(".h")]
    gcc = shutil.which("gcc")
    if not gcc or not headers:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".c") as unit:
        unit.write("".join(f'#include "{path}"\n' for path in headers))
        unit.flush()
        result = subprocess.run([gcc, "-std=c17", "-Wpadded", "-c", "-o", os.devnull, "-I", root, unit.name],
                                capture_output=True, text=True)
    for path, line in sorted(set(re.findall(r"(uapi/[\w/.]+):(\d+):\d+: warning: padding", result.stderr))):
        above = "\n".join(tree.read_text(root, path).split("\n")[:int(line)])
        body = above[above.rfind("struct "):]
        if "*" not in tree.without_comments(body):
            yield f"{path}:{line}: the compiler pads here; write the padding out as a reserved field"


def check(root, files):
    yield from holes(root, files)
    for folder, suffix, standards in MODES:
        for path in files:
            if not path.startswith(folder) or not path.endswith(suffix):
                continue
            for standard in standards:
                message = compile_alone(root, path, standard)
                if message:
                    yield f"{path}:1: does not compile alone as {standard}:\n{message}"


if __name__ == "__main__":
    tree.main("a header does not stand alone", check)
