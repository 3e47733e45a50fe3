#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A port of the model that stands for an interface, in a network namespace of its own: addresses, state, events, counters, and what is refused.

  interface_test.py NPU_SMI NPU_MODELD PROFILES EVENT_SCHEMA      77: not root, or no interface can be made here"""
import csv
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import json_schema

SMI, MODELD, PROFILES, SCHEMA_FILE = sys.argv[1:5]
NAME, PORT, TIMEOUT_S = "npu-test0", 2, 60


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, timeout=TIMEOUT_S)


def must(*words):
    done = ip(*words)
    assert done.returncode == 0, (words, done.stderr)


def make_interface():
    for kind in ["dummy"], ["veth", "peer", "name", "npu-test1"]:
        if ip("link", "add", NAME, "address", "02:00:00:00:00:07", "type", *kind).returncode == 0:
            if kind[0] == "veth":
                must("link", "set", "npu-test1", "up")
            must("address", "add", "192.0.2.7/24", "dev", NAME)
            must("link", "set", NAME, "up")
            return
    skip("this kernel makes neither dummy nor veth interfaces")


def profile(folder, tables):
    (folder / "bound.toml").write_text((pathlib.Path(PROFILES) / "tiny.toml").read_text().replace('"tiny"', '"bound"') + tables)


def start(folder):
    server = subprocess.Popen([MODELD, "--spec", "bound", "--profile-dir", folder, "--socket", folder / "bound.sock", "--threads", "1"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return server, server.stdout.readline()


def refused(folder, tables):
    profile(folder, tables)
    server, line = start(folder)
    error = server.communicate(timeout=TIMEOUT_S)[1]
    assert (server.returncode, line) == (1, ""), (server.returncode, line)
    return error


def port_now():
    done = subprocess.run([SMI, "link", "--format", "json"], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["devices"][0]["nics"][PORT]


def until(holds):
    """The port when `holds` says so of it; the model looks ten times a second."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        port = port_now()
        if holds(port):
            return port
        assert time.monotonic() < end, port


def follow(arguments, ready):
    """npu-smi event that has chosen its events."""
    tool = subprocess.Popen([SMI, "event", *arguments], stdout=subprocess.PIPE, text=True)
    if ready:
        tool.stdout.readline()
    return tool


def check_events():
    tool = follow(["--format", "csv"], True)
    states = []

    def hear():
        row = next(csv.reader([tool.stdout.readline()]))
        assert row[1:4] == ["0", "port_state", str(PORT)], row
        states.append(row[4])

    must("link", "set", NAME, "down")
    while not states or states[-1] != "disabled":
        hear()
    must("link", "set", NAME, "up")
    while states[-1] != "up":
        hear()
    tool.kill()
    tool.communicate()
    # The kernel has the carrier a moment before or after the interface's own state: down may be seen on the way.
    assert [state for state in states if state != "down"] == ["disabled", "up"], states
    schema = json.loads(pathlib.Path(SCHEMA_FILE).read_text())
    # JSON has no header that tells when the tool listens: links go until it has heard of one.
    tool = follow(["-n", "1", "--format", "json"], False)
    end = time.monotonic() + TIMEOUT_S
    while tool.poll() is None:
        for state in "down", "up":
            must("link", "set", NAME, state)
            until(lambda port: (port["state"] == "up") == (state == "up"))
        assert time.monotonic() < end
    line = json.loads(tool.communicate(timeout=TIMEOUT_S)[0])
    assert list(json_schema.check(line, schema, schema)) == [], line
    assert (line["port"], line["event"]) == (PORT, "port_state"), line


def check_life():
    port = port_now()
    assert (port["state"], port["interface"], port["mac"], port["ipv4"]) == ("up", NAME, "02:00:00:00:00:07", "192.0.2.7"), port
    assert port["leads_to"] == "switch" and port["lanes"] is None and port["retransmits"] is None, port
    assert port["link_downs"] == 0 and port["rx_errors"] == 0, port
    # Nobody answers; what is asked is counted all the same.
    before = port["tx_packets"]
    must("neighbor", "replace", "192.0.2.8", "lladdr", "02:00:00:00:00:08", "dev", NAME)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(5):
            sender.sendto(bytes(1000), ("192.0.2.8", 9))
    port = until(lambda port: port["tx_packets"] >= before + 5)
    assert port["tx_bytes"] >= 5000, port
    check_events()
    must("link", "delete", NAME)
    port = until(lambda port: port["state"] == "down")
    assert port["tx_bytes"] >= 5000 and port["link_downs"] >= 2, port


def main():
    if os.geteuid() != 0:
        skip("needs root for a network namespace")
    if "NPU_TEST_INSIDE" not in os.environ:
        os.environ["NPU_TEST_INSIDE"] = "1"
        probe = subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True)
        if probe.returncode != 0 or ip("-V").returncode != 0:
            skip("no namespaces, or no ip(8)")
        os.execvp("unshare", ["unshare", "-n", "-m", sys.executable, *sys.argv])
    # The folder of interfaces is that of the namespace in which it was mounted.
    if subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], capture_output=True).returncode != 0:
        skip("sysfs cannot be mounted here")
    make_interface()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        assert "no interface 'eth99'" in refused(folder, '\n[[port]]\nindex = 0\ninterface = "eth99"\n')
        assert "no address '192.0.2.9'" in refused(folder, '\n[[port]]\nindex = 0\naddress = "192.0.2.9"\n')
        assert "port 0 of device 1" in refused(folder, f'\n[[port]]\ndevice = 1\nindex = 0\ninterface = "{NAME}"\n')
        profile(folder, f'\n[[port]]\nindex = {PORT}\naddress = "192.0.2.7"\n')
        server, line = start(folder)
        assert line.startswith("ready "), server.communicate(timeout=TIMEOUT_S)[1]
        os.environ["NPU_DEVICE"] = f"unix:{folder}/bound.sock"
        try:
            check_life()
        finally:
            server.terminate()
            server.communicate(timeout=TIMEOUT_S)
        assert server.returncode == 0


main()
