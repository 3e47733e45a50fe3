# SPDX-License-Identifier: Apache-2.0
"""Reads a public header: its declarations, each with the comment that belongs to it, split into the parts that the rules ask for."""
import re

KEYS = ("Threads", "Blocks", "Errors", "Since")
_COMMENT = re.compile(r"/\*(.*?)\*/", re.S)
_KEY = re.compile(r"(?<![\w(])(%s):[ \t]*" % "|".join(KEYS))
_FUNCTION = re.compile(r"NPU_API\b([^;]*?)\b((?:npu)\w+)\(([^;]*)\);", re.S)
_PARAMETER = re.compile(r"(\w+)(?:\[\w*\])?$")
_PARAMETER_LINE = re.compile(r"((?:\w+)(?:, \w+)*)  +(\S.*)")


class Parameter:
    def __init__(self, text):
        text = " ".join(text.split())
        self.name = _PARAMETER.search(text).group(1)
        self.type = text[: -len(self.name)].strip() if text.endswith(self.name) else text


class Function:
    def __init__(self, match):
        self.name = match.group(2)
        inside = " ".join(match.group(3).split())
        self.parameters = [] if inside in ("", "void") else [Parameter(p) for p in _split(inside)]


class Doc:
    """A comment in front of functions: text, one entry for each named parameter, one for each key."""

    def __init__(self, comment, names):
        body = _KEY.split(_plain(comment))
        self.parts = {key: _dedent(text) for key, text in zip(body[1::2], body[2::2])}
        self.repeated = [key for key in KEYS if body[1::2].count(key) > 1]
        self.parameters, text, current = {}, [], None
        for line in body[0].split("\n"):
            found = _PARAMETER_LINE.match(line)
            named = found and all(name in names for name in found.group(1).split(", "))
            if named:
                current = found.group(1).split(", ")
                for name in current:
                    self.parameters[name] = found.group(2).strip()
            elif current and line.startswith("  "):
                for name in current:
                    self.parameters[name] += " " + line.strip()
            else:
                current = None
                text.append(line)
        self.text = "\n".join(text).strip()


def _split(parameters):
    """At the commas outside brackets: a parameter may be a pointer to a function."""
    out, depth, word = [], 0, ""
    for char in parameters:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            out.append(word)
            word = ""
        else:
            word += char
    return out + [word]


def _plain(comment):
    """The words of a comment without its stars."""
    lines = [re.sub(r"^[ \t]*\*(?: |$)?", "", line) for line in comment.strip().split("\n")]
    return "\n".join(line.rstrip() for line in lines)


def _dedent(text):
    lines = text.strip().rstrip(".").split("\n")
    return "\n".join(line.strip() for line in lines if line.strip())


def pieces(text):
    """(kind, text) in order; kind is "comment" or "code". Together they are the file."""
    position = 0
    for found in _COMMENT.finditer(text):
        yield "code", text[position : found.start()]
        yield "comment", found.group(0)
        position = found.end()
    yield "code", text[position:]


def functions_after(code):
    """The declarations with which |code| begins, before anything else is declared: those that the comment in front of it speaks of."""
    found, position = [], 0
    while True:
        blank = re.compile(r"\s*").match(code, position).end()
        match = _FUNCTION.match(code, blank)
        if not match:
            return found
        found.append((match, Function(match)))
        position = match.end()


def words_of(comment):
    return _plain(comment[2:-2])
