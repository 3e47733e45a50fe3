#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Size budgets: file 600 lines (kernel style: 1,000), function body 60 lines, public C header at least 40 % comment (npu.hpp only wraps what they document).

The share of comment is counted in characters that are not white space; preprocessor lines do not count, so an umbrella header is free."""
import ast
import re

import tree

FILE_LINES = 600
KERNEL_FILE_LINES = 1000
FUNCTION_LINES = 60
HEADER_COMMENT_PERCENT = 40

_PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\[^\n])*", re.MULTILINE)
# What may stand between the ')' of a signature and its '{'.
_QUALIFIERS = re.compile(
    r"(\s|const\b|volatile\b|noexcept\b(\s*\([^()]*\))?|override\b|final\b|mutable\b|&&?|try\b|->[^;{}()]*|requires\b[^;{}]*)*$")
# A member that is initialised with braces: 'Foo::Foo(int x) : a_(x), b_' before '{x}'.
_BRACE_INITIALISER = re.compile(r"\)\s*(noexcept\s*)?:[^:;][^;]*[\w>]\s*$")
_TYPE = re.compile(r"^\s*(template\s*<[^{}]*>\s*)?(typedef\s+)?(class|struct|union|enum|namespace)\b")


def is_function_header(header):
    stripped = re.sub(r"\{[^{}]*\}", "()", header).rstrip()
    if not stripped or stripped.endswith(("=", ",", "(")):
        return False
    end = _QUALIFIERS.search(stripped).start()
    if not stripped[:end].endswith(")"):
        return False
    # 'struct alignas(64) Foo' ends with a name; 'struct foo *f(void)' is a function; so is a constructor with initialisers.
    return not (_TYPE.match(stripped) and re.search(r"\b(alignas|__attribute__)\s*\(+[^()]*\)+$", stripped))


def functions(text):
    """Yields (first line, last line, name) of each function body, by counting braces outside comments, strings and macros."""
    text = _PREPROCESSOR.sub(tree.blank, tree.without_comments_and_strings(text))
    line, header_start, depth_in_function, start, name, in_initialiser = 1, 0, 0, 0, "", False
    for position, char in enumerate(text):
        if char == "\n":
            line += 1
        elif depth_in_function:
            depth_in_function += {"{": 1, "}": -1}.get(char, 0)
            if depth_in_function == 0:
                yield start, line, name
                header_start = position + 1
        elif in_initialiser:
            in_initialiser = char != "}"
        elif char == "{":
            header = text[header_start:position]
            if _BRACE_INITIALISER.search(header):
                in_initialiser = True
                continue
            if is_function_header(header):
                depth_in_function, start = 1, line
                found = re.findall(r"([~\w:]+)\s*\(", header)
                name = found[0] if found else "?"
            header_start = position + 1
        elif char in "};":
            header_start = position + 1


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno, node.name


def comment_percent(text):
    ink = lambda part: len(re.sub(r"\s", "", part))
    code = ink(_PREPROCESSOR.sub("", tree.without_comments(text)))
    comment = ink(text) - ink(tree.without_comments(text))
    return 100 * comment / max(1, code + comment)


def check(root, files):
    for path in files:
        if tree.is_data(path) or not (tree.is_source(path) or tree.is_script(path)):
            continue
        text = tree.read_text(root, path)
        budget = KERNEL_FILE_LINES if path.startswith(("driver/", "uapi/")) else FILE_LINES
        count = text.count("\n")
        if count > budget:
            yield f"{path}:1: {count} lines; the budget is {budget}: split it by noun"
        bodies = []
        if path.endswith((".c", ".cpp", ".h", ".hpp")):
            bodies = functions(text)
        elif path.endswith(".py"):
            bodies = python_functions(text)
        for first, last, name in bodies:
            if last - first + 1 > FUNCTION_LINES:
                yield f"{path}:{first}: {name}() has {last - first + 1} lines; the budget is {FUNCTION_LINES}"
        if path.startswith("libnpu/include/") and path.endswith(".h"):
            percent = comment_percent(text)
            if percent < HEADER_COMMENT_PERCENT:
                yield (f"{path}:1: {percent:.0f} % comment; a public header needs {HEADER_COMMENT_PERCENT} %: "
                       "ownership, threads, blocking, errors, units, since")


if __name__ == "__main__":
    tree.main("a size budget is exceeded", check)
