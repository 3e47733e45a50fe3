#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the table of all public functions, with the names of their parameters: one row for each symbol of the maps, which a header must declare.

  make_functions.py OUT MAP... -- HEADER..."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "apidoc"))
import header  # noqa: E402


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def declared(text):
    """The functions of a header, by name."""
    code = "".join(piece for kind, piece in header.pieces(text) if kind == "code")
    found = [header.Function(match) for match in header._FUNCTION.finditer(code)]
    return {function.name: function for function in found}


def main():
    out, rest = sys.argv[1], sys.argv[2:]
    maps, headers = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    functions = {}
    for path in headers:
        functions.update(declared(read(path)))
    symbols = [name for path in maps for name in re.findall(r"^\s+(npu\w+);", read(path), re.M)]
    wrong = sorted(set(symbols) ^ set(functions))
    if wrong:
        sys.exit(f"exported and declared functions differ: {', '.join(wrong)}")
    with open(out, "w", encoding="utf-8") as file:
        for name in symbols:
            names = "".join(f', "{parameter.name}"' for parameter in functions[name].parameters)
            file.write(f"NPU_FUZZ_FUNCTION({name}{names})\n")


if __name__ == "__main__":
    main()
