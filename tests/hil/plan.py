#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads tests/hil/plan.txt. Run as a program it prints one thing of it:

    plan.py targets        the ninja targets that the plan needs, one per line
    plan.py tests          one line "NAME SECONDS" per test, gtest programs split into their suites (they must be built)
"""
import os
import re
import shlex
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
USERS = ("root", "user")
NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")
LIST_SECONDS = 60
GUEST_OWN = ("/bin/", "/sbin/", "/proc/", "/sys/", "/dev/", "/run/", "/hil/", "/tmp/.")  # what these paths mean is the guest's matter


class PlanError(SystemExit):
    def __init__(self, text, where=""):
        super().__init__(f"hil: {where}{text}")


class Test:
    def __init__(self, name, seconds, user, command):
        self.name, self.seconds, self.user, self.command = name, seconds, user, command


class Plan:
    def __init__(self, path):
        self.path = path
        self.memory = "1G"
        self.targets, self.devices, self.packed, self.firmware, self.parameters, self.environment = [], [], [], [], [], []
        self.tests = []
        self.suites = set()  # names of tests whose command is a gtest program, not yet split
        self.modules = []
        with open(path, encoding="ascii") as stream:
            for number, line in enumerate(stream, start=1):
                self._line(line.split("#")[0] if line.lstrip().startswith("#") else line, f"{path}:{number}: ")

    def _line(self, line, where):
        words = line.split()
        if not words:
            return
        verb, rest = words[0], words[1:]
        lists = {"target": self.targets, "pack": self.packed, "firmware": self.firmware, "parameter": self.parameters,
                 "environment": self.environment, "load": self.modules}
        if verb in lists:
            lists[verb].extend(rest)
        elif verb == "device":
            self.devices.append(rest)
        elif verb == "memory" and len(rest) == 1 and re.fullmatch(r"[0-9]+[MG]", rest[0]):
            self.memory = rest[0]
        elif verb in ("test", "gtest"):
            self._test(verb, line.split(None, 4), where)
        else:
            raise PlanError(f"'{line.strip()}' is not understood; the top of tests/hil/plan.txt explains the lines.", where)

    def _test(self, verb, words, where):
        if len(words) != 5 or not words[2].isdigit() or words[3] not in USERS or not NAME.match(words[1]):
            raise PlanError(f"a {verb} line is '{verb} NAME SECONDS {'|'.join(USERS)} COMMAND'.", where)
        test = Test(words[1], int(words[2]), words[3], words[4].strip())
        if any(test.name == other.name for other in self.tests):
            raise PlanError(f"a second test is called '{test.name}'.", where)
        self.tests.append(test)
        if verb == "gtest":
            self.suites.add(test.name)

    def all_tests(self):
        """The tests in the order of the plan's lines, each gtest program as its suites."""
        tests = []
        for test in self.tests:
            for suite in gtest_suites(test) if test.name in self.suites else [None]:
                name = test.name if suite is None else f"{test.name}.{suite.replace('/', '_')}"
                command = test.command if suite is None else f"{test.command} --gtest_filter={shlex.quote(suite + '.*')}"
                tests.append(Test(name, test.seconds, test.user, command))
        return tests

    def programs(self):
        """Files that commands name, of the repository or of the host's /usr: they are packed without being listed."""
        words = [word for test in self.tests for word in re.split(r"[\s;&|<>()'\"]+", test.command)]
        return sorted({word for word in words if "/" in word and not word.startswith(GUEST_OWN) and os.path.isfile(os.path.join(ROOT, word))})


def gtest_suites(test):
    words = shlex.split(test.command)
    try:
        result = subprocess.run(words + ["--gtest_list_tests"], cwd=ROOT, capture_output=True, text=True, timeout=LIST_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise PlanError(f"{words[0]} does not list its tests ({error}). Build it: ./dev build, and name its target in the plan.") from None
    return [line.split(".")[0] for line in result.stdout.splitlines() if line[:1].strip() and re.match(r"\S+\.(\s|\Z)", line)]


def main():
    what = sys.argv[1] if len(sys.argv) == 2 else ""
    plan = Plan(os.path.join(HERE, "plan.txt"))
    if what == "targets":
        print("\n".join(dict.fromkeys(plan.targets)))
    elif what == "tests":
        for test in plan.all_tests():
            print(test.name, test.seconds)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
