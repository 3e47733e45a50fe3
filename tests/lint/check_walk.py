#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pointers from text into code: the file of each `file : function` in ARCHITECTURE.md, README.md, CONTRIBUTING.md and docs/ exists and defines the function."""
import os
import re

import tree

DOCUMENTS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "docs/")
MAP_LINES = 200
POINTER = re.compile(r"`([\w./+-]+\.(?:cpp|c|h|hpp|py|def|map)) : ([\w:~, ]+)`")


def defines(code, function):
    """True if |code| (without comments and strings) holds a definition or in-class definition of |function|: 'f', 'Class::f', or a macro row's name."""
    parts = function.split("::")
    name = re.escape(parts[-1])
    if len(parts) > 1:
        qualified = r"\b" + re.escape(parts[-2]) + r"(<[^<>]*>)?::" + name + r"\s*\("
        inside = re.search(r"\b(class|struct)\s+" + re.escape(parts[-2]) + r"\b", code) and re.search(r"\b" + name + r"\s*\(", code)
        return bool(re.search(qualified, code) or inside)
    return bool(re.search(r"(^|[\s*&~])" + name + r"\s*\(", code, re.MULTILINE) or re.search(r"^def " + name + r"\(", code, re.MULTILINE))


class Code:
    """Sources of the tree without comments and strings, each read once."""

    def __init__(self, root, files):
        self._root = root
        self._files = set(files)
        self._texts = {}

    def exists(self, path):
        return path in self._files

    def defines(self, path, function):
        if path not in self._texts:
            text = tree.read_text(self._root, path)
            self._texts[path] = text if path.endswith(".py") else tree.without_comments_and_strings(text)
        return defines(self._texts[path], function)


def check_documents(root, files, code):
    for path in files:
        if not path.endswith(".md") or not path.startswith(DOCUMENTS):
            continue
        text = tree.read_text(root, path)
        for match in POINTER.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            target, functions = match.groups()
            if not code.exists(target):
                yield f"{path}:{line}: there is no file {target}"
                continue
            for function in re.split(r",\s*", functions.strip()):
                if not code.defines(target, function):
                    yield f"{path}:{line}: {target} defines no {function}"


def check(root, files):
    if "ARCHITECTURE.md" in files:
        lines = tree.read_text(root, "ARCHITECTURE.md").count("\n")
        if lines > MAP_LINES:
            yield f"ARCHITECTURE.md:{MAP_LINES + 1}: {lines} lines; it is a map, at most {MAP_LINES}"
    yield from check_documents(root, files, Code(root, [f for f in files if os.path.isfile(os.path.join(root, f))]))


if __name__ == "__main__":
    tree.main("a pointer of a document that leads nowhere", check)
