#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pointers from text into code: each `file : function` of ARCHITECTURE.md and docs/, and each 'pairs with <file> : <function>' of a comment.

The file must exist and define the function. A pair must also be named from the other side: the partner's file has a 'pairs with' that leads back."""
import os
import posixpath
import re

import tree

DOCUMENTS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "docs/")
POINTER = re.compile(r"`([\w./+-]+\.(?:cpp|c|h|hpp|py|def|map)) : ([\w:~, ]+)`")
PAIR = re.compile(r"\bpairs with\b(?P<rest>[^\n]*)")
PARTNER = re.compile(r"\s+(?:and\s+(?:with\s+)?)?(?P<file>[\w./+-]+\.(?:cpp|c|h)) : (?P<function>[\w:~]+)")
COMMENT_CONTINUES = re.compile(r"\n[ \t]*(//|\*(?!/))")
SKIPPED = ("tests/lint/",)


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


def resolve(path, name, code):
    """The file that a pair names: from the root, or beside the file of the comment."""
    for candidate in (name, posixpath.join(posixpath.dirname(path), name)):
        if code.exists(candidate):
            return candidate
    return None


def partners(text):
    """Yields (line, [(file, function)]) of each 'pairs with A : f [and B : g]'; a comment may go on in the next line."""
    joined = COMMENT_CONTINUES.sub(lambda m: " " * len(m.group(0)), text)
    for match in PAIR.finditer(joined):
        named, rest = [], match.group("rest")
        while partner := PARTNER.match(rest):
            named.append((partner.group("file"), partner.group("function")))
            rest = rest[partner.end():]
        yield text.count("\n", 0, match.start()) + 1, named


def check_pairs(root, files, code):
    found = []  # (path, line, partner)
    for path in files:
        if not path.endswith((".c", ".cpp", ".h", ".hpp")) or path.startswith(SKIPPED):
            continue
        for line, named in partners(tree.read_text(root, path)):
            if not named:
                yield f"{path}:{line}: write 'pairs with <file> : <function>'"
            for file, function in named:
                target = resolve(path, file, code)
                if target is None:
                    yield f"{path}:{line}: there is no file {file} (from the root, or beside this file)"
                elif not code.defines(target, function):
                    yield f"{path}:{line}: {target} defines no {function}"
                else:
                    found.append((path, line, target))
    named = {(path, target) for path, _, target in found}
    for path, line, target in found:
        if (target, path) not in named:
            yield f"{path}:{line}: no 'pairs with' in {target} leads back to this file"


def check(root, files):
    code = Code(root, [f for f in files if os.path.isfile(os.path.join(root, f))])
    yield from check_documents(root, files, code)
    yield from check_pairs(root, files, code)


if __name__ == "__main__":
    tree.main("a pointer into code that leads nowhere", check)
