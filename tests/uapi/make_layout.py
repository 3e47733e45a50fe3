#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes layout.def: every member of every uapi struct with its offset and size. A released row never changes.

usage: make_layout.py UAPI_DIR [--check LAYOUT_DEF]
The numbers are worked out from the text of the headers; layout_check.c has the compiler confirm them.
"""
import pathlib
import re
import sys

HEADERS = ["npu_accel.h", "npu_wire.h"]
SKIP = {"npu_call_array", "npu_call_desc"}  # tables inside one process
SIZES = {"__u8": 1, "char": 1, "__u16": 2, "__u32": 4, "__s32": 4, "__u64": 8, "__s64": 8}


def constants(uapi):
    text = "".join((uapi / name).read_text() for name in ["npu_queue.h", *HEADERS])
    return dict(re.findall(r"^#define (NPU_\w+) \(?([0-9][0-9a-fA-Fx]*|NPU_\w+ / \d+)\)?\s*(?:/\*.*)?$", text, re.M))


def count(expression, known):
    if expression is None:
        return 1
    for name in sorted(known, key=len, reverse=True):
        expression = re.sub(rf"\b{name}\b", f"({known[name]})", expression)
    expression = re.sub(r"NPU_\w+", lambda m: str(count(m.group(), known)), expression)
    return int(eval(expression.replace("/", "//"), {"__builtins__": {}}))


def rows(uapi):
    sizes, aligns, known = dict(SIZES), dict(SIZES), constants(uapi)
    for header in HEADERS:
        text = re.sub(r"/\*.*?\*/", "", (uapi / header).read_text(), flags=re.S)
        for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", text, re.S | re.M):
            if name in SKIP:
                continue
            offset, align = 0, 1
            for kind, member, many in re.findall(r"(?:struct )?(\w+) (\w+)(?:\[(.*?)\])?;", body):
                size = sizes[kind] * count(many or None, known)
                align = max(align, aligns[kind])
                yield f"NPU_LAYOUT({name}, {member}, {offset}, {size})"
                offset += size
            sizes[name], aligns[name] = offset, align
            yield f"NPU_LAYOUT_SIZE({name}, {offset})"


def main():
    made = ["/* SPDX-License-Identifier: Apache-2.0 */",
            "/* Offset and size of every member. Made by make_layout.py; rows are added, never changed. */",
            *rows(pathlib.Path(sys.argv[1]))]
    if len(sys.argv) == 2:
        print("\n".join(made))
        return 0
    kept = pathlib.Path(sys.argv[3]).read_text().splitlines()
    for line in sorted(set(made) ^ set(kept)):
        print(("not in layout.def: " if line in made else "gone or changed: ") + line)
    if set(made) != set(kept):
        print("The binary interface differs from layout.def. If only rows were added: make_layout.py UAPI_DIR > layout.def")
    return int(set(made) != set(kept))


if __name__ == "__main__":
    sys.exit(main())
