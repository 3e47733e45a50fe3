#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C API reference. The headers' comments are written for people who read the header; doxygen gets them in its own notation.

  apidoc.py check HEADER...   each function says who may call it, whether it waits, how it fails, since when it is there, and whose the outputs are
  apidoc.py filter HEADER     prints the header as doxygen wants it (INPUT_FILTER of docs/Doxyfile)
  apidoc.py selftest
"""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import header  # noqa: E402

# Objects that somebody has to end, beside memory, and the words with which a comment says who.
HANDLE = re.compile(r"^typedef struct npu\w+ \*(npu\w+);", re.M)
OWNERSHIP = re.compile(r"\b(end (it|the)|owns?|owned|valid until|valid as long|lives? as long|free[ds]?|give it back|gives? back|close|npu\w+(Destroy|Free|Unmap|Unload|Close|Release))\b", re.I)


def handles_of(paths):
    return {"npuDevPtr"}.union(*(HANDLE.findall(open(path, encoding="utf-8").read()) for path in paths))


def complaints(path, handles):
    text = open(path, encoding="utf-8").read()
    found, comment = [], None
    for kind, piece in header.pieces(text):
        if kind == "comment":
            comment = piece
            continue
        for _, function in header.functions_after(piece):
            found += [f"{path}: {function.name}: {what}" for what in _missing(function, comment, handles)]
        declared = len(re.findall(r"\bNPU_API\b(?!\s*__|\n)", re.sub(r"#.*", "", piece)))
        if declared != len(header.functions_after(piece)):
            found.append(f"{path}: a function is not the first thing after its comment: {piece.strip()[:80]!r}")
        for match in re.finditer(r"^typedef [^;{]*?(\w+)( \{|;)", piece, re.M):
            if comment is None or piece[: match.start()].strip():
                found.append(f"{path}: {match.group(1)}: no comment says what it is")
    return found


def _missing(function, comment, handles):
    doc = header.Doc(header.words_of(comment or ""), [p.name for p in function.parameters])
    for key in header.KEYS:
        if not doc.parts.get(key):
            yield f"its comment has no '{key}:'"
    for key in doc.repeated:
        yield f"its comment has '{key}:' twice"
    if not doc.text:
        yield "its comment does not say what it does"
    if "Since" in doc.parts and not re.fullmatch(r"\d+\.\d+( .*)?", doc.parts["Since"], re.S):
        yield f"'Since: {doc.parts['Since']}' is not a version"
    everything = doc.text + " ".join(doc.parameters.values())
    for parameter in function.parameters:
        if not parameter.name.startswith("out_") or parameter.type.rstrip(" *") not in handles:
            continue
        if not OWNERSHIP.search(everything):
            yield f"its comment does not say who ends *{parameter.name}"


# --- for doxygen --------------------------------------------------------------------------------


def _escape(text):
    text = re.sub(r"([\\@#%<>&\"$])", r"\\\1", text)
    return re.sub(r"\|(\w[^|\n]*)\|", r"<tt>\1</tt>", text)


def _as_list(errors):
    """One item for each line; a line that begins deeper belongs to the one above, which the headers do not use."""
    return "\n".join(f" - {_escape(line)}" for line in errors.split("\n"))


def _function_comment(doc, function, siblings):
    lines = ["/**", _escape(doc.text), ""]
    for parameter in function.parameters:
        if parameter.name in doc.parameters:
            way = {"out": "[out]", "inout": "[in,out]"}.get(parameter.name.split("_")[0], "[in]")
            lines.append(f"@param{way} {parameter.name} {_escape(doc.parameters[parameter.name])}")
    lines.append("")
    for key in header.KEYS:
        if doc.parts.get(key):
            body = _as_list(doc.parts[key]) if key == "Errors" else _escape(doc.parts[key])
            lines += [f"@par {key}", body, ""]
    if siblings:
        lines += ["@see " + ", ".join(f"{name}()" for name in siblings), ""]
    return "\n".join(lines + ["*/", ""])


def for_doxygen(text):
    """Every comment becomes one of doxygen's: in front of functions, of a file, of a type, or behind a member."""
    out, first, comment, last = [], True, None, ""
    for kind, piece in header.pieces(text):
        if kind == "comment":
            comment = piece
            continue
        if comment is not None:
            found = header.functions_after(piece)
            if found:
                out.append(_functions(found, piece, header.words_of(comment)))
                last, comment = piece, None
                continue
            out.append(_other(comment, last, first))
            first = first and "SPDX" in comment
        out.append(piece)
        last, comment = piece, None
    return "".join(out)


def _functions(found, piece, words):
    out, position, names = [], 0, [f.name for _, f in found]
    for match, function in found:
        doc = header.Doc(words, [p.name for _, f in found for p in f.parameters])
        out.append(_function_comment(doc, function, [n for n in names if n != function.name]))
        out.append(piece[match.start() : match.end()])
        position = match.end()
    return "\n".join(out) + piece[position:]


def _other(comment, before, first):
    words = header.words_of(comment)
    if "SPDX" in words:
        return comment
    if first:
        # The rules at the top of npu_types.h are a table; others are a sentence.
        return f"/** @file\n{_escape(words)}\n*/" if "\n" not in words.strip() else f"/** @file\n@verbatim\n{words.strip()}\n@endverbatim\n*/"
    behind = before.split("\n")[-1].strip() != ""
    return f"/**{'<' if behind else ''} {_escape(words)} */"


SELFTEST = """/* SPDX-License-Identifier: Apache-2.0 */
/* A header. */
/* A queue. */
typedef struct npuQueueObject *npuQueue;
/* Makes one.
 *
 * name      of it
 * out_queue the queue; NAME
 *
 * Threads: any. Blocks: no.
 * Errors:  NPU_ERROR_INVALID_HANDLE
 *          NPU_ERROR_BUSY   with <a reason>
 * Since:   0.1
 */
NPU_API npuResult npuMake(npuContext context, const char *name, npuQueue *out_queue);
NPU_API npuResult npuMakeToo(npuContext context);
/* A thing. */
typedef struct npuThing {
  uint32_t size; /* of it */
} npuThing;
"""


def selftest():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "npu_x.h")

        def said(text):
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
            return "\n".join(complaints(path, handles_of([path])))

        assert "npuMake: its comment does not say who ends *out_queue" in said(SELFTEST), said(SELFTEST)
        whole = SELFTEST.replace("NAME", "end it with npuQueueDestroy")
        assert said(whole) == "", said(whole)
        for key in header.KEYS:
            assert f"no '{key}:'" in said(whole.replace(f"{key}:", f"{key} ")), key
        assert "not the first thing" in said(whole.replace("/* A thing. */", "int x;\nNPU_API npuResult npuLost(void);"))
        assert "npuThing: no comment" in said(whole.replace("/* A thing. */", "int x;"))
        assert "is not a version" in said(whole.replace("0.1\n", "ever\n"))
    made = for_doxygen(whole)
    for want in ("@param[in] name of it", "@par Blocks\nno", " - NPU_ERROR_BUSY   with \\<a reason\\>", "@see npuMakeToo()",
                 "/**< of it  */".replace("  ", " "), "/** A thing. */", "/** @file\nA header.\n*/"):
        assert want in made, (want, made)


def main():
    if len(sys.argv) >= 3 and sys.argv[1] == "check":
        handles = handles_of(sys.argv[2:])
        found = [line for path in sys.argv[2:] for line in complaints(path, handles)]
        print("\n".join(found) if found else f"apidoc: {len(sys.argv) - 2} headers")
        return 1 if found else 0
    if len(sys.argv) == 3 and sys.argv[1] == "filter":
        sys.stdout.write(for_doxygen(open(sys.argv[2], encoding="utf-8").read()))
        return 0
    if sys.argv[1:] == ["selftest"]:
        selftest()
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
