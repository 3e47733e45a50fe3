#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tracks of engines: npu-trace --engines and npu-perf --engines on a program that tells the sums of its own activities.

  engines_test.py NPU_TRACE NPU_PERF KNOWN TRACE_SCHEMA PERF_SCHEMA     NPU_DEVICE is inproc:tiny or model:tiny"""
import collections
import json
import os
import subprocess
import sys
import tempfile
import unittest

import json_schema

TRACE, PERF, KNOWN, *SCHEMA_FILES = sys.argv[1:6]
DEVICES = 1 << 31
TILES = 4  # of the profile tiny
ENGINES = ["LD", "ST", "MM", "VE"]
SCHEMAS = []
for schema_file in SCHEMA_FILES:
    with open(schema_file, encoding="utf-8") as opened:
        SCHEMAS.append(json.load(opened))


def run(*arguments, **options):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, **options)


class Engines(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def draw(self, *options):
        done = run(TRACE, *options, "-o", self.path("out.json"), KNOWN)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("out.json"), encoding="utf-8") as file:
            picture = json.load(file)
        self.assertEqual(list(json_schema.check(picture, SCHEMAS[0], SCHEMAS[0])), [])
        self.assertEqual(os.listdir(self.folder.name), ["out.json"])
        return picture["traceEvents"]

    def report(self, *options):
        done = run(PERF, "--format", "json", "-o", self.path("report"), *options, KNOWN)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("report"), encoding="utf-8") as file:
            value = json.load(file)
        self.assertEqual(list(json_schema.check(value, SCHEMAS[1], SCHEMAS[1])), [])
        return value["devices"][0]["kernels"]

    def operations(self, events):
        tracks = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
        return [(tracks[e["pid"], e["tid"]], e) for e in events if e.get("cat") == "engine"]

    def test_busy_times_of_the_tracks_sum_up_to_the_utilisation_that_is_reported(self):
        events = self.draw("--engines")
        found = collections.Counter()
        for track, event in self.operations(events):
            found[event["args"]["kernel"], track.split()[2].rstrip(",")] += event["args"]["end_ps"] - event["args"]["start_ps"]
        launches = [e["args"] for e in events if e["name"] == "npu_launch"]
        self.assertEqual([(l["dropped"], l["left_out"], l["tiles"]) for l in launches], [(0, 0, TILES)] * 3)
        kernels = [k for k in self.report("--engines") if k["engines"] is not None]
        self.assertEqual({k["name"] for k in kernels}, {l["kernel"] for l in launches})
        for kernel in kernels:
            engines = kernel["engines"]
            own = [l for l in launches if l["kernel"] == kernel["name"]]
            self.assertEqual(engines["tiles_time_ps"], TILES * sum(l["end_ps"] - l["start_ps"] for l in own))
            self.assertEqual(sorted(engines["busy"]), sorted(ENGINES))
            for engine, busy in engines["busy"].items():
                self.assertEqual(busy["time_ps"], found[kernel["name"], engine], engine)
                self.assertEqual(busy["time_ps"], sum(l["busy_ps"][engine] for l in own), engine)
                self.assertAlmostEqual(busy["utilisation"], busy["time_ps"] / engines["tiles_time_ps"])
            self.assertGreater(engines["busy"]["MM"]["time_ps"], 0)

    def test_an_engine_does_one_thing_at_a_time_within_its_launch(self):
        events = self.draw("--engines")
        launches = [e["args"] for e in events if e["name"] == "npu_launch"]
        of_track = collections.defaultdict(list)
        for track, event in self.operations(events):
            args = event["args"]
            of_track[track].append((args["start_ps"], args["end_ps"]))
            self.assertTrue(any(l["start_ps"] <= args["start_ps"] and args["end_ps"] <= l["end_ps"] for l in launches), event)
        for track, times in of_track.items():
            times.sort()
            for (_, end), (start, _) in zip(times, times[1:]):
                self.assertLessEqual(end, start, track)

    def test_operations_have_kernel_line_and_the_bytes_that_the_launch_moved(self):
        events = self.draw("--engines")
        operations = [e for _, e in self.operations(events)]
        works = [e for e in events if e["ph"] == "X" and "grid" in e["args"]]
        self.assertEqual(sum(e["args"]["bytes"] for e in operations), sum(w["args"]["hbm_read"] + w["args"]["hbm_write"] for w in works))
        launches = [e["args"] for e in events if e["name"] == "npu_launch"]
        self.assertEqual(sum(sum(l["hbm_bytes"]) for l in launches), sum(e["args"]["bytes"] for e in operations))
        self.assertEqual({e["args"]["kernel"] for e in operations}, {w["name"] for w in works})
        for event in operations:
            self.assertRegex(event["args"]["line"], r"^\S+\.cpp:[0-9]+$")
        self.assertTrue({"LD", "MM", "ST"} <= {e["name"] for e in operations})

    def test_the_bandwidth_counter_is_drawn_and_never_above_the_peak(self):
        events = self.draw("--engines")
        peak = next(e["args"]["memory_bytes_per_second"] for e in events if e["name"] == "npu_device")
        rates = [e["args"]["GB/s"] for e in events if e["ph"] == "C" and e["name"] == "memory traffic of engines"]
        self.assertGreater(max(rates), 0)
        self.assertLessEqual(max(rates), peak / 1e9)
        self.assertEqual(rates[-1], 0)

    def test_tiles_that_nobody_wants_to_see_are_counted(self):
        events = self.draw("--engines", "--tiles", "1")
        self.assertEqual({track.split()[1] for track, _ in self.operations(events)}, {"0"})
        for launch in (e["args"] for e in events if e["name"] == "npu_launch"):
            self.assertGreater(launch["drawn"], 0)
            self.assertGreater(sum(launch["hbm_bytes"]), 0)

    def test_times_are_the_same_with_and_without_tracks(self):
        def times(events):
            return sorted((e["name"], e["args"]["start_ps"], e["args"]["end_ps"]) for e in events if e["ph"] == "X" and "grid" in e["args"])
        plain = self.draw("--clock", "device")
        self.assertEqual(self.operations(plain), [])
        self.assertEqual(times(plain), times(self.draw("--engines")))
        self.assertTrue(all(k["engines"] is None for k in self.report()))

    def test_what_cannot_be_is_refused(self):
        for tool, options, device, remedy in [(TRACE, ["--engines", "--clock", "host"], None, "leave --clock away"),
                                              (TRACE, ["--engines", "--tiles", "0"], None, "tiles"),
                                              (TRACE, ["--engines"], "accel", "Unset it"), (PERF, ["--engines"], "unix:/x", "Unset it")]:
            environment = dict(os.environ, **({"NPU_DEVICE": device} if device else {}))
            done = run(tool, *options, "-o", self.path("out"), KNOWN, env=environment)
            self.assertEqual(done.returncode, 125, done.stderr)
            self.assertIn(remedy, done.stderr + done.stdout)
        self.assertEqual(os.listdir(self.folder.name), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
