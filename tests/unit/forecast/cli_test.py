#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""npu-perf collective as users see it.

  cli_test.py NPU_PERF SCHEMA GOLDEN     GOLDEN: a folder; each file is a command line and what it prints"""
import json
import os
import shlex
import subprocess
import sys
import tempfile
import unittest

import json_schema

PERF, SCHEMA_FILE, GOLDEN = sys.argv[1:4]
with open(SCHEMA_FILE, encoding="utf-8") as schema_file:
    SCHEMA = json.load(schema_file)
QUESTION = ["--ranks", "256", "--size", "1G"]


def run(*arguments, **options):
    return subprocess.run([PERF, "collective", *arguments], capture_output=True, text=True, timeout=60, **options)


class Report(unittest.TestCase):
    def report(self, *arguments):
        done = run("--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        value = json.loads(done.stdout)
        self.assertEqual(list(json_schema.check(value, SCHEMA, SCHEMA)), [])
        return value

    def test_what_is_printed_is_golden(self):
        names = sorted(os.listdir(GOLDEN))
        self.assertGreaterEqual(len(names), 3)
        for name in names:
            with open(os.path.join(GOLDEN, name), encoding="utf-8") as file:
                command, wanted = file.read().split("\n", 1)
            with self.subTest(name):
                done = run(*shlex.split(command)[3:])
                self.assertEqual((done.stdout, done.stderr, done.returncode), (wanted, "", 0))

    def test_json_follows_its_schema_and_is_the_same_every_time(self):
        first = run("--json", "--algo", "all", "--order", "any", *QUESTION)
        self.assertEqual(first.stdout, run("--json", "--algo", "all", "--order", "any", *QUESTION).stdout)
        value = self.report("--algo", "all", "--order", "any", *QUESTION)
        self.assertEqual([a["algorithm"] for a in value["answers"]], ["window", "direct", "doubling", "flood", "halving", "ring", "hierarchical"])
        self.assertEqual(value["best"], min((a for a in value["answers"] if not a["refusal"]), key=lambda a: a["seconds"])["algorithm"])

    def test_links_carry_what_is_sent(self):
        for profile, ranks in ("maia100", 6144), ("maia200", 96):
            value = self.report("--profile", profile, "--ranks", str(ranks), "--size", "1G", "--algo", "hierarchical")
            answer, = value["answers"]
            links = {link["kind"]: link for link in answer["links"]}
            self.assertAlmostEqual((links["neighbour"]["bytes"] + links["up"]["bytes"]) / answer["sent_bytes"], 1)
            self.assertAlmostEqual(links["up"]["bytes"] / links["down"]["bytes"], 1)
            # Two levels: what a rank of N must send and receive, and nothing twice.
            self.assertAlmostEqual(answer["sent_bytes"] / (2 * (ranks - 1) * 2**30), 1)
            for link in links.values():
                self.assertLessEqual(link["mean_load"], link["most_load"] + 1e-9)
                self.assertLessEqual(link["most_load"], 1 + 1e-2)

    def test_refused_algorithms_say_why(self):
        value = self.report("--algo", "all", *QUESTION)
        refused = {a["algorithm"]: a["refusal"] for a in value["answers"] if a["refusal"]}
        self.assertEqual(list(refused), ["window", "ring"])
        self.assertIn("one node", refused["window"])
        self.assertIn("canonical order", refused["ring"])

    def test_each_number_names_its_source(self):
        network = self.report("--ranks", "4", "--size", "1M", "--wiring", "up_links=6")["network"]
        self.assertEqual(network["up_links"], {"value": 6, "source": "--wiring"})
        self.assertIn("Hot Chips", network["link_mbytes_per_s"]["source"])
        self.assertTrue(network["hop_ns"]["source"].startswith("inferred"))

    def test_a_schedule_is_exported(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "schedule.json")
            self.assertEqual(run("--ranks", "4", "--size", "4K", "--algo", "direct", "--export", path).returncode, 0)
            with open(path, encoding="utf-8") as file:
                schedule = json.load(file)
            self.assertEqual((schedule["op"], schedule["algorithm"], schedule["count"], len(schedule["ranks"])), ("allreduce", "direct", 1024, 4))
            sent = sum(s["count"] for r in schedule["ranks"] for s in r["steps"] if s["kind"] == "send")
            self.assertEqual(sent, 2 * 3 * 1024)

    def test_profiles_of_ones_own(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "mine.toml"), "w", encoding="utf-8") as file:
                file.write("[network]\nnode_chips = 4\n")
            environment = {**os.environ, "NPU_PROFILE_DIR": folder}
            done = run("--profile", "mine", "--ranks", "4", "--size", "1M", env=environment)
            self.assertEqual(done.returncode, 125)
            self.assertIn("key 'network.neighbour_links' is missing", done.stderr)
            done = run("--ranks", "4", "--size", "1M", env=environment)
            self.assertIn("Give one of: mine", done.stderr)


class Refusals(unittest.TestCase):
    def test_wrong_use_is_refused_with_a_remedy(self):
        for arguments, remedy in [
                ("", "--ranks"), ("--ranks 0 --size 1", "1 to 65536"), ("--ranks -1 --size 1", "whole number"),
                ("--ranks 65537 --size 1", "1 to 65536"), ("--ranks 99999999999999999999 --size 1", "whole number"),
                ("--ranks 6 --size 1", "a multiple of 4"), ("--ranks 4", "--size"), ("--ranks 4 --size 0", "1 to 64P"),
                ("--ranks 4 --size -1", "1 to 64P"), ("--ranks 4 --size 1X", "1 to 64P"), ("--ranks 4 --size 18446744073709551615", "1 to 64P"),
                ("--ranks 4 --size 99999999999T", "1 to 64P"), ("--ranks 4 --size 1 --op all", "allreduce"),
                ("--ranks 4 --size 1 --type double", "float32"), ("--ranks 4 --size 1 --algo ring", "--order any"),
                ("--ranks 4 --size 1 --algo bruck", "no algorithm for allreduce"), ("--ranks 4 --size 1 --algo best", "auto"),
                ("--ranks 4 --size 1 --op barrier", "must be 0"), ("--ranks 4 --size 1 --profile none", "maia100"),
                ("--ranks 4 --size 1 --profile ../maia100", "maia100"), ("--ranks 4 --size 1 --profile rngd", "nothing is published"),
                ("--ranks 4 --size 1 --wiring rails=2", "up_links"), ("--ranks 4 --size 1 --wiring up_links", "0 to 1024"),
                ("--ranks 4 --size 1 --wiring up_links=1025", "0 to 1024"), ("--ranks 4 --size 1 --wiring leaf_chips=6", "multiple of node_chips"),
                ("--ranks 8 --size 1 --wiring up_links=0", "no link is left"), ("--ranks 4 --size 1G --chunk 1", "262144"),
                ("--ranks 4 --size 2 --export /tmp/never.json", "multiple of 4"), ("--ranks 4 --size 4 --export /nowhere/x", "/nowhere"),
                ("--ranks 4 --size 1 extra", "extra"), ("--ranks 4 --size 1 --bogus", "bogus")]:
            with self.subTest(arguments):
                done = run(*arguments.split())
                self.assertEqual((done.returncode, done.stdout), (125, ""), done.stderr)
                self.assertIn(remedy, done.stderr)

    def test_schedules_that_nobody_can_read_are_not_exported(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in "x.json", "x.dot", "x.txt":
                done = run("--ranks", "512", "--size", "1G", "--algo", "direct", "--export", os.path.join(folder, name))
                self.assertEqual(done.returncode, 125)
                self.assertIn("fewer ranks", done.stderr)
            self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
