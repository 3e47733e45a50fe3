#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs what the documentation shows, against a build tree.

  run_docs.py commands  --build DIR            every block fenced as ```sh run in README.md and docs/**/*.md
  run_docs.py program   --build DIR --cc CC --library libnpu.so
                                               the first ```c block of README.md: compiled, run, output compared with the ```text
                                               block that follows it; '...' in that block stands for anything
  run_docs.py selftest                         the two above on planted documents

Commands run in an empty folder, with the tools of the build tree on PATH, and must end with exit code 0."""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
TIMEOUT_S = 120


def blocks(text):
    """Yields (line number, info string, body) of each fenced block."""
    for match in FENCE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1).strip(), match.group(2)


def environment(build):
    env = dict(os.environ)
    tools = sorted(d for d in glob.glob(os.path.join(build, "tools", "*")) if os.path.isdir(d))
    daemon = [os.path.join(build, "firmware-model", "server")]
    env["PATH"] = os.pathsep.join(tools + daemon + [env.get("PATH", "")])
    return env


def run(command, env, folder):
    """(exit code, standard output, everything) of |command|; a time-out is exit code 124."""
    try:
        done = subprocess.run(command, env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=TIMEOUT_S)
        return done.returncode, done.stdout, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return 124, "", f"no end after {TIMEOUT_S} s"


def run_commands(documents, build):
    """Number of failed blocks in |documents|, (path, text) pairs."""
    failed = ran = 0
    for path, text in documents:
        for line, info, body in blocks(text):
            if info != "sh run":
                continue
            ran += 1
            with tempfile.TemporaryDirectory() as folder:
                code, _, output = run(["bash", "-euo", "pipefail", "-c", body], environment(build), folder)
            if code:
                failed += 1
                print(f"{path}:{line}: exit code {code}\n{body}--- output\n{output}", file=sys.stderr)
    print(f"{ran} blocks ran, {failed} failed")
    return failed


def matches(expected, actual):
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, actual.strip(), re.DOTALL) is not None


def program_of(text):
    """(line, source, expected output or None) of the first C program of a document."""
    found = list(blocks(text))
    for index, (line, info, body) in enumerate(found):
        if info == "c":
            follows = found[index + 1] if index + 1 < len(found) else None
            return line, body, follows[2] if follows and follows[1] == "text" else None
    return None


def run_program(path, text, build, cc, library):
    program = program_of(text)
    if program is None:
        print(f"{path}: shows no C program", file=sys.stderr)
        return 1
    line, source, expected = program
    with tempfile.TemporaryDirectory() as folder:
        unit, binary = os.path.join(folder, "first.c"), os.path.join(folder, "first")
        with open(unit, "w", encoding="utf-8") as file:
            file.write(source)
        where = os.path.dirname(library)
        flags = os.environ.get("NPU_DOCS_LINK_FLAGS", "").split()
        code, _, output = run([*cc.split(), "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", os.path.join(ROOT, "libnpu/include"),
                               unit, library, f"-Wl,-rpath,{where}", *flags, "-o", binary], environment(build), folder)
        if code == 0:
            code, stdout, output = run([binary], environment(build), folder)
            if code == 0 and expected is not None and not matches(expected, stdout):
                code, output = 1, f"printed:\n{output}\nexpected:\n{expected}"
    if code:
        print(f"{path}:{line}: the program failed with {code}\n{output}", file=sys.stderr)
    return code


def selftest():
    good = "x\n```sh run\ntrue\n```\n```sh\nfalse\n```\n"
    assert run_commands([("good", good)], "/nowhere") == 0
    assert run_commands([("bad", "```sh run\ntrue\nfalse\ntrue\n```\n")], "/nowhere") == 1
    assert [b[1] for b in blocks(good)] == ["sh run", "sh"]
    assert program_of("```c\nint main(void){}\n```\n\n```text\nhello\n```\n") == (1, "int main(void){}\n", "hello\n")
    assert program_of("```c\nx\n```\n```sh\ny\n```\n")[2] is None and program_of("none") is None
    assert matches("a ... c", "a b c\n") and not matches("a ... c", "a b d")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["commands", "program", "selftest"])
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "dev"))
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--library", default="")
    options = parser.parse_args()
    if options.what == "selftest":
        return selftest()
    names = ["README.md"] + sorted(glob.glob("docs/**/*.md", root_dir=ROOT, recursive=True))
    documents = []
    for name in names:
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            documents.append((name, file.read()))
    if options.what == "commands":
        return 1 if run_commands(documents, options.build) else 0
    return 1 if run_program(*documents[0], options.build, options.cc, options.library) else 0


if __name__ == "__main__":
    sys.exit(main())
