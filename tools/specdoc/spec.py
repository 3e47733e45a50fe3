# SPDX-License-Identifier: Apache-2.0
"""Reads uapi/spec/*.def and the uapi headers: rows of X-macros, enums with their comments, structs with offsets. No preprocessor needed."""
import ast
import os
import re


class SpecError(Exception):
    """A table or header that this reader does not understand."""


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


_TOKEN = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def without_comments(text):
    return _TOKEN.sub(lambda m: m.group(0) if m.group(0).startswith('"') else "", text)


def split_arguments(text, start):
    """Arguments of the macro whose '(' stands at |start|, as texts; and the position behind its ')'."""
    arguments, depth, begin, at = [], 0, start + 1, start
    while at < len(text):
        char = text[at]
        if char == '"':
            at = _TOKEN.match(text, at).end()
            continue
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                arguments.append(text[begin:at].strip())
                return arguments, at + 1
        elif char == "," and depth == 1:
            arguments.append(text[begin:at].strip())
            begin = at + 1
        at += 1
    raise SpecError("a row has no closing bracket")


def value_of(argument):
    """A string literal (or several beside each other) as its text, anything else as it stands."""
    if argument.startswith('"'):
        return "".join(ast.literal_eval(part) for part in _TOKEN.findall(argument))
    return argument


def rows(text, macro, width):
    """Yields (position, [values]) of each row MACRO(...) of a .def file; rows of a width other than |width| are an error."""
    for match in re.finditer(r"^" + macro + r"\(", text, re.MULTILINE):
        arguments, _ = split_arguments(text, match.end() - 1)
        if len(arguments) != width:
            raise SpecError(f"{macro}: a row has {len(arguments)} members, not {width}: {arguments}")
        yield match.start(), [value_of(a) for a in arguments]


_ENUM_ROW = re.compile(r"\s*(?P<name>\w+)(?:\s*=\s*(?P<value>[^,/\n]+))?,?\s*(?:/\*\s*(?P<doc>.*?)\s*\*/)?")


def enum(text, name):
    """[(NAME, value, comment)] of `enum name` as it is written in a header; rows that a .def table brings are not in it."""
    match = re.search(r"^enum " + name + r" \{\n(.*?)^\};", text, re.MULTILINE | re.DOTALL)
    if not match:
        raise SpecError(f"there is no enum {name}")
    result = []
    for line in match.group(1).splitlines():
        row = _ENUM_ROW.fullmatch(line)
        if row and row.group("value"):
            result.append((row.group("name"), int(row.group("value"), 0), row.group("doc") or ""))
    return result


def constants(text):
    """Numbers that are #defined by a literal or by other such numbers."""
    found = {}
    for name, body in re.findall(r"^#define (\w+) ([^\n]*)", text, re.MULTILINE):
        body = re.sub(r"\b(0x[0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", re.sub(r"/\*.*?\*/", "", body)).strip()
        expression = re.sub(r"\b[A-Z_][A-Z0-9_]*\b", lambda m: str(found.get(m.group(0), m.group(0))), body)
        if re.fullmatch(r"[0-9a-fA-Fx()\s+*<>/|-]+", expression):
            try:
                found[name] = int(eval(expression.replace("/", "//"), {"__builtins__": {}}))  # digits and operators only
            except (SyntaxError, TypeError, ZeroDivisionError):
                continue
    return found


_SCALARS = {"__u8": 1, "char": 1, "__u16": 2, "__u32": 4, "__s32": 4, "__u64": 8, "__s64": 8}
_MEMBER = re.compile(r"(?:struct )?(?P<type>\w+) (?P<name>\w+)(?:\[(?P<count>[^\]]+)\])?;\s*(?:/\*\s*(?P<doc>.*?)\s*\*/)?$")


class Layouts:
    """Members, offsets and sizes of the structs of some headers. A member that its natural alignment would move is an error: the uapi has no holes."""

    def __init__(self, texts):
        joined = "\n".join(texts)
        self._constants = constants(joined)
        self._bodies = dict(re.findall(r"^struct (\w+) \{\n(.*?)^\};", joined, re.MULTILINE | re.DOTALL))
        self._sizes = {}

    def members(self, name):
        """[(offset, bytes, 'type name[n]', comment)] of a struct."""
        if name not in self._bodies:
            raise SpecError(f"there is no struct {name}")
        result, offset = [], 0
        for line in self._bodies[name].splitlines():
            line = line.strip()
            if not line or line.startswith("/*"):
                continue
            match = _MEMBER.fullmatch(line)
            if not match:
                raise SpecError(f"struct {name}: not understood: {line}")
            unit, alignment = self._size_of(match.group("type"))
            count = self._count(match.group("count"))
            if offset % alignment:
                raise SpecError(f"struct {name}: {match.group('name')} is not aligned")
            shown = match.group("name") + (f"[{count}]" if match.group("count") else "")
            result.append((offset, unit * count, f"{match.group('type')} {shown}", match.group("doc") or ""))
            offset += unit * count
        self._sizes[name] = offset
        return result

    def size(self, name):
        if name not in self._sizes:
            self.members(name)
        return self._sizes[name]

    def number(self, text):
        """The value of a literal or of a constant of the headers."""
        return self._constants[text] if text in self._constants else int(text, 0)

    def _size_of(self, name):
        if name in _SCALARS:
            return _SCALARS[name], _SCALARS[name]
        return self.size(name), 8

    def _count(self, text):
        if text is None:
            return 1
        expression = re.sub(r"[A-Z_][A-Z0-9_]*", lambda m: str(self._constants.get(m.group(0), m.group(0))), text)
        if not re.fullmatch(r"[0-9 ()+*/-]+", expression):
            raise SpecError(f"array size not understood: {text}")
        return int(eval(expression.replace("/", "//"), {"__builtins__": {}}))  # digits and operators only
