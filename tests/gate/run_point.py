#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of one point of the gate, lists the points, or checks that each still has its tests.

  run_point.py POINTS list
  run_point.py POINTS check|NUMBER CTEST BUILD_FOLDER"""
import re
import subprocess
import sys


def points(path):
    """{number: (text, [expression])}"""
    found, tests = {}, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            if line.startswith(" "):
                tests.append(line.strip())
                continue
            number, text = line.rstrip().split(" ", 1)
            tests = []
            found[number] = (text, tests)
    return found


def names_of_tests(program, folder):
    out = subprocess.run([program, "--test-dir", folder, "-N"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^ *Test +#\d+: (\S+)", out, re.M)


def lost(table, names):
    """What no test shows any more. An expression with a choice wants a test for each."""
    for number, (_, tests) in table.items():
        if not tests:
            yield f"{number}: no test"
        for expression in tests:
            choices = re.search(r"\(([^()]*\|[^()]*)\)", expression)
            for one in choices.group(1).split("|") if choices else [""]:
                whole = expression.replace(choices.group(0), one) if choices else expression
                if not any(re.fullmatch(whole, name) for name in names):
                    yield f"{number}: no test is called {whole}"


def ctest(program, folder, expression, *options):
    return subprocess.run([program, "--test-dir", folder, "-R", f"^({expression})$", *options], capture_output=True, text=True)


def run(text, tests, program, folder):
    print(text)
    for expression in tests:
        done = ctest(program, folder, expression, "--output-on-failure", "--no-tests=error")
        print(re.findall(r".*tests passed.*", done.stdout)[-1:], expression)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)


def main():
    table = points(sys.argv[1])
    if sys.argv[2] == "list":
        print(";".join(table), end="")
        return
    number, program, folder = sys.argv[2:]
    problems = list(lost(table, names_of_tests(program, folder)))
    if number == "check" or problems:
        sys.exit("\n".join(problems) or 0)
    run(*table[number], program, folder)


if __name__ == "__main__":
    main()
