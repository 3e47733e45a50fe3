#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Text rules: SPDX line, ASCII sources, whitespace, and words that must not be in a finished tree."""
import re

import tree

KERNEL_LICENCE = "GPL-2.0-only OR MIT"
LICENCE = "Apache-2.0"
TAB_FOLDERS = ("driver/", "uapi/")  # kernel style
BINARY_SUFFIXES = (".png", ".bin", ".safetensors", ".gguf", ".npublob", ".pub")

# Each is put together here so that this file does not contain what it looks for.
FORBIDDEN_WORDS = [
    (re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b"),
     "unfinished work belongs in the issue tracker"),
    (re.compile("(^|[\\s\"'`(=<])/(" + "|".join(("wo" + "rk", "ro" + "ot")) + ")(/|\\b)"), "names a path of somebody's machine"),
    (re.compile("/" + "home/[a-z]"), "names a path of somebody's machine"),
]


def check_spdx(path, lines):
    index = 1 if lines[0].startswith("#!") else 0
    first = lines[index] if len(lines) > index else ""
    kernel = path.startswith(("driver/", "uapi/")) and (tree.is_source(path) or path.endswith(".sh"))
    wanted = KERNEL_LICENCE if kernel else LICENCE
    match = re.search(r"SPDX-License-Identifier: (.*?)(\s*\*/)?$", first.strip())
    if not match:
        yield f"{path}:{index + 1}: the first line must be SPDX-License-Identifier: {wanted}"
    elif match.group(1) != wanted:
        yield f"{path}:{index + 1}: the licence of this folder is '{wanted}', not '{match.group(1)}'"


def check_lines(path, lines, code):
    for number, line in enumerate(lines, 1):
        if line.endswith("\r"):
            yield f"{path}:{number}: carriage return"
        elif line != line.rstrip() and not (path.endswith(".md") and line.endswith("  ")):
            yield f"{path}:{number}: white space at the end of the line"
        if code and "\t" in line and not path.startswith(TAB_FOLDERS):
            yield f"{path}:{number}: tab"
        if code and not line.isascii():
            yield f"{path}:{number}: not ASCII"
        for pattern, reason in FORBIDDEN_WORDS:
            match = pattern.search(line)
            if match:
                yield f"{path}:{number}: '{match.group(0).strip()}': {reason}"


def check(root, files):
    for path in files:
        if tree.is_data(path) or path.endswith(BINARY_SUFFIXES):
            continue
        text = tree.read_text(root, path)
        if not text or "\0" in text:
            continue
        code = tree.is_source(path) or tree.is_script(path)
        lines = text.split("\n")
        if code:
            yield from check_spdx(path, lines)
        if lines[-1]:
            yield f"{path}:{len(lines)}: no newline at the end of the file"
        yield from check_lines(path, lines, code)


if __name__ == "__main__":
    tree.main("text rules", check)
