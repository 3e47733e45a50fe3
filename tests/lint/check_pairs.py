#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pairs of barriers: each 'pairs with <file> : <function>' of a comment names a function that exists, and the partner's file names this one back."""
import posixpath
import re

import check_walk
import tree

PAIR = re.compile(r"\bpairs with\b(?P<rest>[^\n]*)")
PARTNER = re.compile(r"\s+(?:and\s+(?:with\s+)?)?(?P<file>[\w./+-]+\.(?:cpp|c|h)) :\s+(?P<function>~?\w+(?:::~?\w+)*)")
COMMENT_CONTINUES = re.compile(r"\n[ \t]*(//|\*(?!/))")
SKIPPED = ("tests/lint/",)


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


def check(root, files):
    code = check_walk.Code(root, files)
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


if __name__ == "__main__":
    tree.main("a pair of barriers of which one side is missing", check)
