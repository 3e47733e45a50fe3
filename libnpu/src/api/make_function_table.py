#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the table behind npuGetProcAddress from the map of exported symbols: one row a function, sorted by name.

  make_function_table.py libnpu.map OUT"""
import re
import sys


def rows(text):
    release = None
    for line in text.splitlines():
        stanza = re.match(r"NPU_(\d+)\.(\d+) \{", line)
        if stanza:
            release = (int(stanza.group(1)), int(stanza.group(2)))
        symbol = re.match(r"\s+(npu[A-Za-z0-9]+);", line)
        if symbol:
            yield symbol.group(1), release


def main():
    source, out = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        table = sorted(rows(file.read()))
    with open(out, "w", encoding="utf-8") as file:
        file.write('#include "libnpu/src/api/proc.h"\nnamespace npu::api {\nconst Function kFunctions[] = {\n')
        for name, (major, minor) in table:
            file.write(f'  {{"{name}", {major} << 16 | {minor}, reinterpret_cast<npuProc>(&{name})}},\n')
        file.write(f'}};\nconst size_t kFunctionCount = {len(table)};\n}}  // namespace npu::api\n')


if __name__ == "__main__":
    main()
