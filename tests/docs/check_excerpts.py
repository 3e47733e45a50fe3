#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Code that a document shows is the code that the tests run.

  check_excerpts.py check --root DIR           all of README.md and docs/
  check_excerpts.py selftest                   the same on planted documents

A fenced block whose second word is a path, as in ```cpp samples/kernels/05_gemm/gemm.cpp, must be some whole lines of that file, one after the other; the
indentation that all of them share may be left out. docs/kernels.md shows a piece of each file of samples/kernels that is a kernel."""
import argparse
import glob
import os
import re
import sys
import tempfile

FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
TUTORIAL, STEPS = "docs/kernels.md", "samples/kernels"


def dedent(lines):
    """|lines| without the indentation that all of them share."""
    widths = [len(line) - len(line.lstrip(" ")) for line in lines if line.strip()]
    cut = min(widths, default=0)
    return [line[cut:] for line in lines]


def is_part(excerpt, text):
    part, lines = dedent(excerpt), text.split("\n")
    return any(dedent(lines[at:at + len(part)]) == part for at in range(len(lines) - len(part) + 1))


def excerpts(text):
    """Yields (line, path, lines) of each block that names a file."""
    for match in FENCE.finditer(text):
        words = match.group(1).split()
        if len(words) == 2 and "/" in words[1]:
            yield text.count("\n", 0, match.start()) + 1, words[1], match.group(2).rstrip("\n").split("\n")


def kernels_of(root):
    for path in sorted(glob.glob(f"{STEPS}/*/*", root_dir=root)):
        if path.endswith((".s", ".cpp")) and not path.endswith("/main.cpp"):
            yield path


def check(root):
    """Yields a line for each thing that is wrong."""
    shown = {}
    for document in ["README.md"] + sorted(glob.glob("docs/**/*.md", root_dir=root, recursive=True)):
        with open(os.path.join(root, document), encoding="utf-8") as file:
            text = file.read()
        for line, path, lines in excerpts(text):
            shown.setdefault(document, set()).add(path)
            if not os.path.isfile(os.path.join(root, path)):
                yield f"{document}:{line}: there is no file {path}"
                continue
            with open(os.path.join(root, path), encoding="utf-8") as file:
                if not is_part(lines, file.read()):
                    yield f"{document}:{line}: these are no lines of {path} any more; copy them anew"
    for path in kernels_of(root):
        if path not in shown.get(TUTORIAL, ()):
            yield f"{TUTORIAL}:1: shows nothing of {path}"


def selftest():
    def problems(block, kernel="a\n  b\n    c\n"):
        with tempfile.TemporaryDirectory() as root:
            for path, text in (("README.md", ""), (TUTORIAL, block), (f"{STEPS}/1/k.s", kernel), (f"{STEPS}/1/main.cpp", "")):
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return len(list(check(root)))

    name = f"{STEPS}/1/k.s"
    assert problems(f"```asm {name}\na\n  b\n```\n") == 0
    assert problems(f"```asm {name}\nb\n  c\n```\n") == 0    # less indentation
    assert problems(f"```asm {name}\nb\nc\n```\n") == 1      # another indentation
    assert problems(f"```asm {name}\na\n    c\n```\n") == 1  # a line is missing
    assert problems(f"```asm {name}\n  b \n```\n") == 1
    assert problems("```asm samples/none.s\na\n```\n") == 2  # no such file, and the kernel is not shown
    assert problems("```asm\nfree text\n```\n") == 1         # the kernel is not shown
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "selftest"])
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    options = parser.parse_args()
    if options.what == "selftest":
        return selftest()
    problems = list(check(options.root))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
