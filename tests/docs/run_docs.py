#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs what the documentation shows, against a build tree.

  run_docs.py run --build DIR [--cc CC] [--library libnpu.so] [--only NAME]
  run_docs.py selftest                         the same on planted documents

Fenced blocks of README.md and docs/**/*.md with one of these words are run, each in an empty folder; exit code 0 is expected:
  sh run       a shell script, with the tools of the build tree on PATH
  c run        a C program with the headers of the uapi and of libnpu
  c run npu    the same, linked with libnpu
A ```text block right behind holds what is printed to stdout; '...' in it stands for anything.
Daemons, keys and settings of the user are out of reach: XDG_RUNTIME_DIR, XDG_CONFIG_HOME and HOME lead to a folder of this run."""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
KINDS = ("sh run", "c run", "c run npu")
TIMEOUT_S = 120


class Settings:
    """Where the build is, and the environment of all blocks."""

    def __init__(self, build, cc, library, home):
        self.cc, self.library = cc.split(), library
        self.link_flags = os.environ.get("NPU_DOCS_LINK_FLAGS", "").split()
        tools = sorted(d for d in glob.glob(os.path.join(build, "tools", "*")) if os.path.isdir(d))
        self.env = dict(os.environ, HOME=home, NPU_MODEL_IDLE_S="1")
        for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
            self.env[name] = os.path.join(home, name.lower())
            os.makedirs(self.env[name], mode=0o700, exist_ok=True)
        self.env["PATH"] = os.pathsep.join(tools + [os.path.join(build, "firmware-model", "server"), self.env.get("PATH", "")])
        for name in ("NPU_DEVICE", "NPU_KEY_DIR"):
            self.env.pop(name, None)


def blocks(text):
    """Yields (line, words behind the fence, body, expected output or None) of each fenced block."""
    found = list(FENCE.finditer(text))
    for index, match in enumerate(found):
        expected = None
        if index + 1 < len(found):
            follower = found[index + 1]
            if follower.group(1).strip() == "text" and not text[match.end():follower.start()].strip():
                expected = follower.group(2)
        yield text.count("\n", 0, match.start()) + 1, match.group(1).strip(), match.group(2), expected


def matches(expected, actual):
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, actual.strip(), re.DOTALL) is not None


def execute(command, env, folder):
    """(exit code, standard output, everything) of |command|; a time-out is exit code 124."""
    try:
        done = subprocess.run(command, env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S)
        return done.returncode, done.stdout, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return 124, "", f"no end after {TIMEOUT_S} s"


def compile_program(kind, body, folder, settings):
    """(exit code, output) of the compiler; the program is then folder/program."""
    unit = os.path.join(folder, "program.c")
    with open(unit, "w", encoding="utf-8") as file:
        file.write(body)
    libraries = ["-lm"]
    if kind == "c run npu":
        libraries += [settings.library, f"-Wl,-rpath,{os.path.dirname(settings.library)}", *settings.link_flags]
    include = ["-I", ROOT, "-I", os.path.join(ROOT, "libnpu/include")]
    command = [*settings.cc, "-std=gnu17", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", *include, unit, *libraries,
               "-o", os.path.join(folder, "program")]
    code, _, output = execute(command, settings.env, folder)
    return code, output


def run_block(kind, body, expected, settings):
    """None, or what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["bash", "-euo", "pipefail", "-c", body]
        if kind != "sh run":
            code, output = compile_program(kind, body, folder, settings)
            if code:
                return f"the compiler ended with {code}\n{output}"
            command = [os.path.join(folder, "program")]
            os.remove(os.path.join(folder, "program.c"))
        code, stdout, output = execute(command, settings.env, folder)
    if code:
        return f"exit code {code}\n{output}"
    if expected is not None and not matches(expected, stdout):
        return f"printed:\n{output}expected:\n{expected}"
    return None


def run_documents(documents, settings):
    """Number of failed blocks in |documents|, (path, text) pairs."""
    failed = ran = left_out = 0
    for path, text in documents:
        for line, kind, body, expected in blocks(text):
            if kind not in KINDS:
                continue
            if kind == "c run npu" and not settings.library:
                left_out += 1
                continue
            ran += 1
            problem = run_block(kind, body, expected, settings)
            if problem:
                failed += 1
                print(f"{path}:{line}: {problem}", file=sys.stderr)
    print(f"{ran} blocks ran, {failed} failed, {left_out} left out (no --library)")
    return failed


def selftest():
    good = "x\n```sh run\ntrue\n```\n```sh\nfalse\n```\n"
    hello = '#include <stdio.h>\nint main(void) { puts("a b c"); return 0; }\n'
    with tempfile.TemporaryDirectory() as home:
        planted(Settings("/nowhere", "cc", "", home), good, hello)
    assert [b[1] for b in blocks(good)] == ["sh run", "sh"]
    return 0


def planted(settings, good, hello):
    def failures(text):
        return run_documents([("planted", text)], settings)

    assert failures(good) == 0
    assert failures("```sh run\ntrue\nfalse\ntrue\n```\n") == 1
    assert failures("```sh run\necho 1\n```\n\n```text\n2\n```\n") == 1
    assert failures("```sh run\necho 1\n```\nmore\n```text\n2\n```\n") == 0
    assert failures(f"```c run\n{hello}```\n```text\na ... c\n```\n") == 0
    assert failures(f"```c run\n{hello}```\n```text\na ... d\n```\n") == 1
    assert failures("```c run\nint main(void) { int unused; return 0; }\n```\n") == 1
    assert failures(f"```c run npu\n{hello}```\n") == 0  # nothing to link with: left out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "selftest"])
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "dev"))
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--library", default="")
    parser.add_argument("--only", default="", help="documents whose path contains this")
    options = parser.parse_args()
    if options.what == "selftest":
        return selftest()
    names = [n for n in ["README.md"] + sorted(glob.glob("docs/**/*.md", root_dir=ROOT, recursive=True)) if options.only in n]
    documents = []
    for name in names:
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            documents.append((name, file.read()))
    # A daemon may still end in this folder when we are done.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        settings = Settings(os.path.abspath(options.build), options.cc, os.path.abspath(options.library) if options.library else "", home)
        return 1 if run_documents(documents, settings) else 0


if __name__ == "__main__":
    sys.exit(main())
