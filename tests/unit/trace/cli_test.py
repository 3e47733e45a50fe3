#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""npu-trace and npu-perf as users see them, on a program that tells the sums of its own activities.

  cli_test.py NPU_TRACE NPU_PERF KNOWN SCHEMA     the road is NPU_DEVICE, inproc:tiny or model:tiny"""
import collections
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

import json_schema

TRACE, PERF, KNOWN, SCHEMA_FILE = sys.argv[1:5]
DEVICES = 1 << 31
with open(SCHEMA_FILE, encoding="utf-8") as schema_file:
    SCHEMA = json.load(schema_file)

Sum = collections.namedtuple("Sum", "is_kernel calls ps macs bytes")


def run(*arguments, **options):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, **options)


def sums_of(stdout):
    rows = [line.split("|") for line in stdout.splitlines() if line.count("|") == 5]
    return {name: Sum(*map(int, numbers)) for name, *numbers in rows}


class InFolder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def read_trace(self, name="out.json"):
        with open(self.path(name), encoding="utf-8") as file:
            return json.load(file)["traceEvents"]

    def assert_only(self, *names):
        self.assertEqual(sorted(os.listdir(self.folder.name)), sorted(names))

    def assert_same(self, events, sums):
        """The slices of devices in |events| are those that the program counted."""
        found = collections.defaultdict(lambda: [0] * 4)
        for event in events:
            if event["ph"] != "X" or event["pid"] < DEVICES or event["cat"] in ("graph", "sync"):
                continue
            args = event["args"]
            is_kernel = "grid" in args
            size = args.get("hbm_read", 0) + args.get("hbm_write", 0) if is_kernel else args["bytes"]
            for i, number in enumerate((1, args["end_ps"] - args["start_ps"], args.get("macs", 0), size)):
                found[event["name"]][i] += number
        for name, known in sums.items():
            self.assertEqual(tuple(found[name]), tuple(known[1:]), name)


class TraceTool(InFolder):
    def test_the_picture_has_what_the_program_counted(self):
        done = run(TRACE, "-o", self.path("out.json"), "--", KNOWN)
        self.assertEqual(done.returncode, 0, done.stderr)
        sums = sums_of(done.stdout)
        self.assertEqual(sum(s.calls for s in sums.values() if s.is_kernel), 3)
        events = self.read_trace()
        self.assert_same(events, sums)
        self.assert_only("out.json")
        calls = [e["name"] for e in events if e["ph"] == "X" and e["pid"] < DEVICES]
        self.assertIn("npuOpsGemm" if "npuOpsGemm" in calls else "npuQueueLaunch", calls)
        self.assertEqual(sum(e["ph"] == "s" for e in events), sum(e["ph"] == "f" for e in events))
        self.assertGreater(sum(e["ph"] == "s" for e in events), 3)
        self.assertTrue(any(e["ph"] == "C" and e["args"].get("GB/s", 0) > 0 for e in events))
        self.assertTrue(any(e["ph"] == "C" and e["args"].get("10^12/s", 0) > 0 for e in events))
        for series in ("GB/s", "10^12/s", "%"):
            values = [e["args"][series] for e in events if e["ph"] == "C" and series in e["args"]]
            self.assertEqual(values[-1], 0)
        tracks = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
        self.assertLessEqual({(e["pid"], e["tid"]) for e in events if e["ph"] == "X" and e["pid"] >= DEVICES}, tracks)

    def test_no_rate_is_above_the_peak_of_the_device(self):
        self.assertEqual(run(TRACE, "-o", self.path("out.json"), KNOWN).returncode, 0)
        events = self.read_trace()
        peak = next(e["args"] for e in events if e["name"] == "npu_device")
        self.assertEqual((peak["memory_bytes_per_second"], peak["macs_per_second"], peak["macs_f32_per_second"]),
                         (100 * 10**9, 4 * 4096 * 10**9, 4 * 256 * 10**9))
        for event in events:
            if event["ph"] == "X" and "macs" in event["args"]:
                args, seconds = event["args"], (event["args"]["end_ps"] - event["args"]["start_ps"]) * 1e-12
                self.assertGreaterEqual(args["macs"], 64**3)
                self.assertLessEqual(args["macs"] / seconds, peak["macs_f32_per_second"])
                self.assertLessEqual((args["hbm_read"] + args["hbm_write"]) / seconds, peak["memory_bytes_per_second"])

    def test_the_devices_clock(self):
        self.assertEqual(run(TRACE, "--clock", "device", "-o", self.path("out.json"), KNOWN).returncode, 0)
        slices = [e for e in self.read_trace() if e["ph"] == "X"]
        self.assertTrue(slices)
        for event in slices:
            self.assertGreaterEqual(event["pid"], DEVICES)
            self.assertAlmostEqual(event["ts"], event["args"]["start_ps"] / 1e6)

    def test_the_exit_code_and_the_output_are_the_programs(self):
        done = run(TRACE, "-o", self.path("out.json"), KNOWN, "9")
        self.assertEqual(done.returncode, 9)
        self.assertIn("dropped|0", done.stdout)

    def start_hanging(self, *tool):
        child = subprocess.Popen([*tool, KNOWN, "hang"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        said = ""
        for line in child.stdout:
            said += line
            if line.startswith("waiting "):
                return child, int(line.split()[1]), sums_of(said)
        self.fail(child.stderr.read())

    def end_when_it_sleeps(self, pid, how):
        """The program writes its recording before it sleeps in its wait: only then it may be killed."""
        with open(f"/proc/{pid}/environ", "rb") as file:
            recording = dict(v.split(b"=", 1) for v in file.read().split(b"\0") if b"=" in v)[b"NPU_TRACE"].decode()
        while True:
            with open(recording.replace("%p", str(pid)), encoding="utf-8") as file:
                if "npuQueueWaitSemaphore" in file.read():
                    return how()
            os.sched_yield()

    def test_a_killed_program_leaves_what_it_did(self):
        child, pid, sums = self.start_hanging(TRACE, "-o", self.path("out.json"))
        self.end_when_it_sleeps(pid, lambda: os.kill(pid, signal.SIGKILL))
        self.assertEqual(child.wait(60), 128 + signal.SIGKILL)
        self.assertIn("last moments", child.stderr.read())
        self.assert_same(self.read_trace(), sums)
        self.assert_only("out.json")

    def test_a_signal_to_the_tool_ends_the_program_and_the_picture_is_whole(self):
        child, pid, sums = self.start_hanging(TRACE, "-o", self.path("out.json"))
        self.end_when_it_sleeps(pid, child.terminate)
        self.assertEqual(child.wait(60), 128 + signal.SIGTERM)
        self.assert_same(self.read_trace(), sums)
        self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_processes_of_a_script_are_drawn_together(self):
        done = run(TRACE, "-o", self.path("out.json"), "sh", "-c", f"{KNOWN} && {KNOWN}")
        self.assertEqual(done.returncode, 0, done.stderr)
        events = self.read_trace()
        self.assertEqual(len({e["pid"] for e in events if e["ph"] == "X" and e["pid"] < DEVICES}), 2)
        sums = {n: s._replace(calls=2 * s.calls, ps=2 * s.ps, macs=2 * s.macs, bytes=2 * s.bytes)
                for n, s in sums_of(done.stdout).items()}
        self.assert_same(events, sums)

    def test_what_npu_trace_left_behind_can_be_drawn_later(self):
        raw = self.path("raw")
        self.assertEqual(run(KNOWN, env={**os.environ, "NPU_TRACE": raw}).returncode, 0)
        self.assertEqual(run(TRACE, "--from", raw, "-o", self.path("out.json")).returncode, 0)
        self.assertEqual(run(TRACE, "--from", self.path("out.json"), "-o", self.path("again.json")).returncode, 0)
        count = [sum(e["ph"] == "X" for e in self.read_trace(name)) for name in ("out.json", "again.json")]
        self.assertEqual(count[0], count[1])


class PerfTool(InFolder):
    def report(self, *arguments):
        done = run(PERF, "--format", "json", "-o", self.path("report"), *arguments)
        with open(self.path("report"), encoding="utf-8") as file:
            value = json.load(file)
        self.assertEqual(list(json_schema.check(value, SCHEMA, SCHEMA)), [])
        return done, value

    def test_sums_are_those_of_the_activity_records(self):
        done, value = self.report(KNOWN)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((value["exit_code"], value["lost_activities"], value["unfinished_processes"]), (0, 0, 0))
        device, = value["devices"]
        rows = {row["name"]: row for row in device["kernels"] + device["transfers"]}
        for name, known in sums_of(done.stdout).items():
            row = rows[name]
            self.assertEqual((row["calls"], row["device_time_ps"]["total"], row["bytes"]), (known.calls, known.ps, known.bytes), name)
            if known.is_kernel:
                self.assertEqual(row["multiply_adds"], known.macs)
                self.assertLessEqual(row["roofline"]["of_roof"], 1)
                self.assertGreater(row["roofline"]["of_roof"], 0)
        self.assertAlmostEqual(sum(k["share"] for k in device["kernels"]), 1)
        self.assertEqual(device["name"], "tiny")

    def test_the_table_goes_to_stderr_and_the_program_keeps_stdout(self):
        done = run(PERF, KNOWN, "3")
        self.assertEqual(done.returncode, 3)
        self.assertNotIn("of roof", done.stdout)
        self.assertIn("of roof", done.stderr)
        self.assertIn("NPU 0 tiny: at most 32.8 TFLOP/s (fp32 2.05 TFLOP/s, bf16 8.19 TFLOP/s, ", done.stderr)

    def test_the_roofline_is_a_picture_with_each_kernel_in_it(self):
        self.assertEqual(run(PERF, "--svg", self.path("roof.svg"), KNOWN).returncode, 0)
        root = xml.etree.ElementTree.parse(self.path("roof.svg")).getroot()
        dots = root.findall("{http://www.w3.org/2000/svg}circle")
        self.assertEqual(len(dots), 1)
        width, height = float(root.get("width")), float(root.get("height"))
        for dot in dots:
            self.assertTrue(0 < float(dot.get("cx")) < width and 0 < float(dot.get("cy")) < height)

    def test_a_picture_of_npu_trace_can_be_reported_on(self):
        run(TRACE, "-o", self.path("out.json"), KNOWN)
        _, value = self.report("--from", self.path("out.json"))
        self.assertIsNone(value["exit_code"])
        self.assertEqual(sum(k["calls"] for k in value["devices"][0]["kernels"]), 3)
        done = run(PERF, "--from", self.path("out.json"))
        self.assertIn("of roof", done.stdout)


class Refusals(InFolder):
    def test_wrong_use_is_refused_with_a_remedy(self):
        not_a_trace, out = self.path("text"), self.path("out")
        with open(not_a_trace, "w", encoding="utf-8") as file:
            file.write("hello\n")
        for arguments, remedy in [([], "either a program to run"), (["--from", "x", KNOWN], "either a program to run"),
                                  (["--from", not_a_trace], "Give a file"), (["--from", self.path("none")], "Give a file"),
                                  (["--max-mb", "0", KNOWN], "1"), (["--max-mb", "x", KNOWN], "max-mb"), (["--bogus", KNOWN], "bogus"),
                                  (["-o"], "-o")]:
            for tool in TRACE, PERF:
                with self.subTest(arguments, tool=tool):
                    done = run(tool, *(["-o", out] if "-o" not in arguments else []), *arguments)
                    self.assertEqual(done.returncode, 125, done.stderr)
                    self.assertIn(remedy, done.stderr + done.stdout)
        self.assert_only("text")

    def test_programs_that_cannot_be_run(self):
        for tool in TRACE, PERF:
            done = run(tool, "-o", self.path("out"), self.path("none"))
            self.assertEqual(done.returncode, 127)
            self.assertIn("Give a program's path", done.stderr)
            done = run(tool, "-o", self.path("out"), self.folder.name)
            self.assertEqual(done.returncode, 126)
            done = run(tool, "-o", self.path("out"), "true")
            self.assertEqual(done.returncode, 125)
            self.assertIn("npu-smi doctor", done.stderr)
        self.assert_only()

    def test_what_is_no_file_is_not_replaced(self):
        # A renaming would have made a file of it.
        pipe = self.path("pipe")
        os.mkfifo(pipe)
        for tool in ([TRACE, "-o", pipe], [PERF, "--svg", pipe]):
            with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
                done = run(*tool, KNOWN)
                text, _ = reader.communicate(timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(stat.S_ISFIFO(os.stat(pipe).st_mode))
            self.assertIn(text[:1], (b"{", b"<"))
            self.assertEqual(os.listdir(self.folder.name), ["pipe"])

    def test_places_that_cannot_be_written(self):
        for tool in TRACE, PERF:
            for place in "/nowhere/out", "/proc/out", self.folder.name:
                done = run(tool, "-o", place, KNOWN)
                self.assertEqual((done.returncode, done.stdout), (125, ""), done.stderr)  # before the program ran
        with tempfile.TemporaryDirectory(prefix="a%p") as odd:
            done = run(TRACE, "-o", os.path.join(odd, "out"), KNOWN)
            self.assertEqual(done.returncode, 125)
            self.assertIn("Write elsewhere", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
