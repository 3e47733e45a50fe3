#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""npu-smi as users and scripts see it: outputs against the published schema, the three formats against each other, exit codes.

  cli_test.py NPU_SMI SCHEMA [LIBNPU]     the road is NPU_DEVICE, inproc:tiny*2 or model:tiny*2; with LIBNPU another process works meanwhile"""
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import unittest

import json_schema

TOOL, SCHEMA_FILE = sys.argv[1:3]
DOCTOR_SCHEMA_FILE = SCHEMA_FILE.replace("npu-smi-", "npu-smi-doctor-")
MANUAL = os.path.join(os.path.dirname(SCHEMA_FILE), "..", "man", "npu.7")
LIBNPU = sys.argv[3] if len(sys.argv) > 3 else ""
with open(SCHEMA_FILE, encoding="utf-8") as schema_file:
    SCHEMA = json.load(schema_file)
with open(DOCTOR_SCHEMA_FILE, encoding="utf-8") as schema_file:
    DOCTOR_SCHEMA = json.load(schema_file)
MIB = 1 << 20


def run(*arguments, **environment):
    return subprocess.run([TOOL, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **environment})


def flat(value, path=""):
    """{"a": {"b": 1}} as {"a.b": 1}."""
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, item in value.items() for k, v in flat(item, f"{path}.{key}".lstrip(".")).items()}


class Output(unittest.TestCase):
    def succeed(self, *arguments):
        done = run(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def json_of(self, *arguments):
        value = json.loads(self.succeed(*arguments, "--format", "json"))
        self.assertEqual(list(json_schema.check(value, SCHEMA, SCHEMA)), [])
        return value

    def test_every_json_output_follows_the_schema(self):
        for arguments in [], ["list"], ["list", "--full"], ["info"], ["info", "-d", "memory,power"], ["ps"], ["link"]:
            with self.subTest(arguments):
                self.assertEqual(len(self.json_of(*arguments)["devices"]), 2)

    def test_null_comes_with_its_reason_and_nothing_else_does(self):
        for device in self.json_of("info")["devices"]:
            values = {path: value for path, value in flat(device).items() if not path.startswith("unavailable")}
            nulls = {path for path, value in values.items() if value is None}
            self.assertEqual(nulls, set(device["unavailable"]))

    def test_values_are_those_of_the_device(self):
        device = self.json_of("info")["devices"][0]
        self.assertEqual(device["name"], "tiny")
        self.assertEqual(device["memory_bytes"]["total"], 256 * MIB)
        self.assertEqual((device["architecture"]["clusters"], device["architecture"]["tiles_per_cluster"]), (2, 2))
        self.assertEqual(device["clock_mhz"]["core"], 1000)
        self.assertEqual(device["power_cap_w"], 50)
        self.assertTrue(device["is_virtual"])

    def test_links_lead_to_each_other(self):
        first, second = self.json_of("link")["devices"]
        self.assertEqual([port["port"] for port in first["nics"]], [0, 1, 2])
        for near, far in (first, second), (second, first):
            self.assertEqual([port["peer_uuid"] for port in near["nics"]], [far["uuid"], far["uuid"], None])
            self.assertEqual([port["leads_to"] for port in near["nics"]], ["device", "device", "switch"])
        table = self.succeed("link").splitlines()
        self.assertEqual(len(table), 1 + 6)
        self.assertIn("device 1:0", table[1])
        rows = list(csv.DictReader(io.StringIO(self.succeed("link", "--format", "csv"))))
        self.assertEqual([row["state"] for row in rows], ["up"] * 6)
        self.assertEqual(self.json_of("info", "-d", "nic")["devices"][0]["nics"], first["nics"])

    def test_the_schema_knows_every_field_of_a_port(self):
        registry = [field["path"] for field in json.loads(self.succeed("schema", "--format", "json"))["port_fields"]]
        self.assertEqual(registry, list(SCHEMA["$defs"]["port"]["properties"]))
        self.assertEqual(registry, SCHEMA["$defs"]["port"]["required"])

    def test_devices_differ_in_index_and_uuid(self):
        first, second = self.json_of("list")["devices"]
        self.assertEqual((first["index"], second["index"]), (0, 1))
        self.assertNotEqual(first["uuid"], second["uuid"])

    def test_csv_holds_what_json_holds(self):
        fields = [field["path"] for field in json.loads(self.succeed("schema", "--format", "json"))["fields"]]
        rows = list(csv.reader(io.StringIO(self.succeed("info", "--format", "csv,nounits"))))
        self.assertEqual([cell.split(" [")[0] for cell in rows[0]], ["timestamp"] + fields)
        device = flat(self.json_of("info")["devices"][0])
        cells = dict(zip(fields, rows[1][1:]))
        for path in "uuid", "name", "memory_bytes.total", "architecture.l1_bytes", "health.state", "power_cap_w":
            self.assertEqual(cells[path].removesuffix(".0"), str(device[path]).removesuffix(".0"), path)
        self.assertEqual(cells["bdf"], "")

    def test_csv_options_drop_header_and_units(self):
        with_units = self.succeed("info", "-d", "memory", "--format", "csv").splitlines()
        self.assertIn("memory_bytes.total [B]", with_units[0])
        self.assertIn(f"{256 * MIB} B", with_units[1])
        bare = self.succeed("info", "-d", "memory", "--format", "csv,noheader,nounits").splitlines()
        self.assertEqual(len(bare), 2)
        self.assertIn(f",{256 * MIB},", bare[0])

    def test_the_overview_names_devices_before_processes(self):
        lines = self.succeed().splitlines()
        self.assertTrue(lines[0].startswith("npu-smi "))
        self.assertIn("devices 2 (2 virtual)", lines[0])
        self.assertIn("virtual:0", lines[2])
        self.assertTrue(any(line.startswith("idx") and "pid" in line for line in lines[4:]))

    def test_the_tool_does_not_count_itself_among_the_processes(self):
        self.assertNotIn("npu-smi", [process["command"] for process in self.json_of("ps")["processes"]])

    def test_selectors_choose_devices(self):
        uuid = self.json_of("list")["devices"][1]["uuid"]
        for selector, wanted in [("1", [1]), ("0-1", [0, 1]), ("1,0", [0, 1]), ("all", [0, 1]), (uuid, [1]), (uuid.lower(), [1])]:
            with self.subTest(selector):
                self.assertEqual([d["index"] for d in self.json_of("-i", selector)["devices"]], wanted)

    def test_foreign_spellings_lead_to_the_same_handlers(self):
        self.assertEqual(self.succeed("-L"), self.succeed("list"))
        self.assertEqual(self.succeed("info", "-l"), self.succeed("list"))
        self.assertEqual(self.succeed("info", "-m"), self.succeed("list", "--full"))
        self.assertEqual(self.succeed("info", "-t", "common"), self.succeed("info", "-d", "identity"))

    def test_schema_and_registry_name_the_same_fields(self):
        properties = SCHEMA["$defs"]["device"]["properties"]
        named = set()
        for key, value in properties.items():
            inner = value.get("properties")
            named |= {f"{key}.{name}" for name in inner} if inner else {key}
        registry = {field["path"] for field in json.loads(self.succeed("schema", "--format", "json"))["fields"]}
        self.assertEqual(named - {"unavailable"}, registry)


# Holds 32 MiB and a queue on device 1 until its stdin ends; prints a line when it does.
WORKER = """
import ctypes, sys
npu = ctypes.CDLL(sys.argv[1])
def call(name, *arguments):
    result = getattr(npu, name)(*arguments)
    if result: sys.exit(f"{name}: {result}")
handle, u64 = ctypes.c_void_p, ctypes.c_uint64
device, context, queue, memory, done = handle(), handle(), handle(), u64(), u64()
call("npuInit")
call("npuDeviceOpen", b"1", ctypes.byref(device))
call("npuContextCreate", device, ctypes.byref(context))
call("npuQueueCreate", context, None, ctypes.byref(queue))
call("npuMemAlloc", context, 1, u64(32 << 20), ctypes.byref(memory))
call("npuQueueFill", queue, memory, u64(7), 4, u64(32 << 20), ctypes.byref(done))
call("npuQueueWait", queue, done, ctypes.c_int64(10**10))
print("holding", flush=True)
sys.stdin.read()
"""


@unittest.skipUnless(LIBNPU and os.environ["NPU_DEVICE"].startswith("model"), "needs a daemon and an uninstrumented library")
class OtherProcess(unittest.TestCase):
    def read(self):
        value = json.loads(run("--format", "json").stdout)
        self.assertEqual(list(json_schema.check(value, SCHEMA, SCHEMA)), [])
        return value

    def test_a_working_process_is_seen_until_it_is_killed(self):
        worker = subprocess.Popen([sys.executable, "-c", WORKER, LIBNPU], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(worker.stdout.readline(), "holding\n")
            seen = self.read()
            row = [process for process in seen["processes"] if process["pid"] == worker.pid]
            self.assertEqual(len(row), 1)
            self.assertEqual((row[0]["device"], row[0]["type"], row[0]["queues"]), (1, "compute", 1))
            self.assertGreaterEqual(row[0]["memory_bytes"]["hbm"], 32 * MIB)
            self.assertEqual(row[0]["uid"], os.getuid())
            device = seen["devices"][1]
            self.assertGreaterEqual(device["memory_bytes"]["used"], 32 * MIB)
            self.assertGreaterEqual(device["activity"]["copied_bytes"] or 32 * MIB, 32 * MIB)
            self.assertGreaterEqual(device["activity"]["commands"], 1)
            self.assertEqual(seen["devices"][0]["memory_bytes"]["used"], 0)
        finally:
            worker.kill()
            worker.communicate()
        self.wait_until_gone(worker.pid)

    def wait_until_gone(self, pid):
        """The daemon learns of the death from the socket; it has as long as a person would wait."""
        deadline = time.monotonic() + 10
        while True:
            seen = self.read()
            if pid not in [p["pid"] for p in seen["processes"]] and seen["devices"][1]["memory_bytes"]["used"] == 0:
                return
            self.assertLess(time.monotonic(), deadline, "the dead process still holds the device")


class Loop(unittest.TestCase):
    def test_each_turn_is_a_line_of_json_that_follows_the_schema(self):
        done = run("--loop", "0.05", "--count", "4", "--format", "json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        turns = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(turns), 4)
        for turn in turns:
            self.assertEqual(list(json_schema.check(turn, SCHEMA, SCHEMA)), [])
            self.assertEqual((turn["interval_ms"], len(turn["devices"])), (50, 2))
        stamps = [turn["timestamp"] for turn in turns]
        self.assertEqual(stamps, sorted(set(stamps)))

    def test_csv_has_one_header(self):
        lines = run("list", "--loop", "0.02", "--count", "3", "--format", "csv").stdout.splitlines()
        self.assertEqual(len(lines), 1 + 3 * 2)
        self.assertEqual([line.startswith("timestamp") for line in lines], [True] + 6 * [False])

    def test_a_signal_ends_it_with_the_code_of_the_last_turn(self):
        for number in signal.SIGINT, signal.SIGTERM:
            tool = subprocess.Popen([TOOL, "list", "--loop", "0.02", "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertTrue(json.loads(tool.stdout.readline()))
            tool.send_signal(number)
            rest, complaints = tool.communicate(timeout=60)
            self.assertEqual((tool.returncode, complaints), (0, ""))
            for line in rest.splitlines():
                json.loads(line)

    def test_events_are_waited_for_until_a_signal(self):
        for number in signal.SIGINT, signal.SIGTERM:
            tool = subprocess.Popen([TOOL, "event", "--format", "csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertEqual(tool.stdout.readline(), "timestamp,device,event,port,state,epoch,lost_before\n")
            tool.send_signal(number)
            self.assertEqual(tool.communicate(timeout=60), ("", ""))
            self.assertEqual(tool.returncode, 0)

    def test_what_never_was_there_ends_it_at_once(self):
        done = run("--loop", "1", "-i", "7")
        self.assertEqual((done.returncode, done.stdout), (6, ""))


class Doctor(unittest.TestCase):
    def findings(self, code, **environment):
        done = run("doctor", "--format", "json", **environment)
        self.assertEqual((done.returncode, done.stderr), (code, ""))
        value = json.loads(done.stdout)
        self.assertEqual(list(json_schema.check(value, DOCTOR_SCHEMA, DOCTOR_SCHEMA)), [])
        return {finding["subject"]: finding for finding in value["findings"]}

    def test_a_good_machine_has_no_failure(self):
        found = self.findings(0, NPU_WAIT_SPIN_US="7")
        self.assertEqual(found["NPU_WAIT_SPIN_US"]["found"], "7")
        self.assertTrue(found["NPU_LOG_FILE"]["found"].startswith("unset"))
        self.assertEqual({found[f"device {i}"]["state"] for i in range(2)}, {"ok"})

    def test_a_bad_variable_is_found_and_the_remedy_says_what_it_may_be(self):
        found = self.findings(20, NPU_LOG_LEVEL="loud")
        self.assertEqual(found["NPU_LOG_LEVEL"]["state"], "failed")
        self.assertIn("debug", found["NPU_LOG_LEVEL"]["remedy"])
        self.assertEqual(found["all"]["state"], "failed")

    def test_a_model_that_cannot_start_is_found(self):
        found = self.findings(20, NPU_DEVICE="model:tiny", NPU_MODELD="/nowhere/npu-modeld", XDG_RUNTIME_DIR=os.environ["SMI_EMPTY_DIR"])
        self.assertIn("/nowhere/npu-modeld", found["device 0"]["found"])

    def test_small_limits_are_warnings(self):
        limited = subprocess.run(["bash", "-c", f"ulimit -n 100; exec {TOOL} doctor --format json"], capture_output=True, text=True, timeout=60)
        found = {f["subject"]: f for f in json.loads(limited.stdout)["findings"]}
        self.assertEqual((found["open files"]["state"], found["open files"]["found"]), ("warning", "100"))

    def test_the_formats_tell_the_same(self):
        rows = list(csv.DictReader(io.StringIO(run("doctor", "--format", "csv").stdout)))
        table = run("doctor").stdout
        for subject, finding in self.findings(0).items():
            self.assertIn(subject, table)
            self.assertEqual([r["state"] for r in rows if r["subject"] == subject], [finding["state"]])

    def test_the_manual_page_has_every_variable(self):
        with open(MANUAL, encoding="utf-8") as page:
            text = page.read()
        for subject, finding in self.findings(0).items():
            if finding["check"] == "environment":
                self.assertIn(subject, text)


class ExitCode(unittest.TestCase):
    def expect(self, code, *arguments, **environment):
        done = run(*arguments, **environment)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.strip())

    def test_wrong_use_is_2(self):
        for arguments in (["nonsense"], ["--format", "xml"], ["--format", "csv,loud"], ["--format", "json,nounits"], ["info", "-d", "nonsense"],
                          ["-i", ""], ["-i", "x"], ["-i", "0,NPU-" + "0" * 32], ["-i", "3-1"], ["info", "-d", "memory", "-t", "temp"],
                          ["--loop", "0"], ["--loop", "-1"], ["--loop", "1e9"], ["--loop", "nan"], ["--count", "3"], ["--loop", "1", "--count", "0"],
                          ["doctor", "--loop", "1"], ["schema", "--loop", "1"],
                          ["event", "--loop", "1"], ["event", "-n", "0"], ["event", "-n", "x"]):
            with self.subTest(arguments):
                self.expect(2, *arguments)

    def test_an_unreadable_environment_is_2(self):
        self.expect(2, NPU_DEVICE="nonsense")

    def test_a_device_that_is_not_there_is_6(self):
        self.expect(6, "-i", "7")
        self.expect(6, "-i", "NPU-00000000-0000-0000-0000-000000000000")
        self.expect(6, "-i", "0000:03:00.0")

    def test_a_driver_that_cannot_be_reached_is_9(self):
        done = run("list", NPU_DEVICE="model:tiny", NPU_MODELD="/nowhere/npu-modeld", XDG_RUNTIME_DIR=os.environ["SMI_EMPTY_DIR"])
        self.assertEqual((done.returncode, done.stdout), (9, ""))
        self.assertIn("/nowhere/npu-modeld", done.stderr)

    def test_help_and_version_are_0(self):
        for option in "-h", "--help", "-V", "--version":
            done = run(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout)

    def test_a_full_disk_is_1(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([TOOL, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("stdout", done.stderr)


class Validator(unittest.TestCase):
    def test_the_validator_sees_what_is_wrong(self):
        good = json.loads(run("info", "--format", "json").stdout)
        self.assertEqual(list(json_schema.check(good, SCHEMA, SCHEMA)), [])

        def damaged(change):
            value = json.loads(json.dumps(good))
            change(value["devices"][0])
            return list(json_schema.check(value, SCHEMA, SCHEMA))

        self.assertTrue(damaged(lambda d: d.pop("uuid")))
        self.assertTrue(damaged(lambda d: d.update(uuid="NPU-1")))
        self.assertTrue(damaged(lambda d: d.update(power_w="high")))
        self.assertTrue(damaged(lambda d: d.update(surprise=1)))
        self.assertTrue(damaged(lambda d: d["memory_bytes"].update(total=-1)))
        self.assertTrue(damaged(lambda d: d["utilization_pct"].update(core=101)))
        self.assertTrue(damaged(lambda d: d["unavailable"].update(power_w="because")))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
