#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots the virtual machine once, runs the plan in it and leaves one result per test in a folder.

    boot.py --kernel 6.12                            the plan of tests/hil/plan.txt
    boot.py --kernel 7.3 --only 'queue|copy'         the tests whose name matches
    boot.py --kernel 6.12 --module X.ko --run 'build/dev/tests/x --fast'    one program with one module
    boot.py --kernel 6.12 --shell                    a shell in the guest instead of tests

Leaves in the run folder (build/hil/run/KERNEL): results/NAME.out and NAME.json, dmesg.log, console.log, npuN.log.
Exit code 0: the guest reached its tests. Whether it finished, and each result, are questions for result.py.
"""
import argparse
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import dmesg
import guest_image
import qemu
from plan import HERE, ROOT, Plan, PlanError, Test

HIL = os.path.join(ROOT, "build", "hil")
SERVER = os.path.join(ROOT, "build", "dev", "firmware-model", "server", "npu-modeld")
BOOT_SECONDS = 90       # from power-on to the first test, on a busy machine
SERVER_SECONDS = 20     # until a server listens
SLOW_FACTOR = {"debug": 8}
WHOLE_RUN = ("hil.boot", "hil.finish", "hil.dmesg", "hil.kmemleak")  # --only one of these needs every test
PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.05


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Kernel:
    """One line of build/hil/kernels, and the files that belong to it."""

    def __init__(self, name, driver):
        try:
            with open(os.path.join(HIL, "kernels"), encoding="ascii") as stream:
                rows = {row.split()[0]: row.split() for row in stream if row.strip()}
        except FileNotFoundError:
            raise PlanError("build/hil/ is empty. Make it: ./dev hil") from None
        if name not in rows or rows[name][1] == "bookworm":
            raise PlanError(f"there is no kernel '{name}' to boot. Known: {', '.join(key for key in rows if rows[key][1] != 'bookworm')}.")
        _, tree, release = rows[name]
        self.tree = os.path.join(HIL, "trixie")
        self.busybox = os.path.join(self.tree, "usr/bin/busybox")
        home = os.path.join(HIL, tree, "root") if tree == "debug" else self.tree
        folder = os.path.join(home, "usr/lib/modules", release)
        # The unpacked kernel saves the guest seconds. Debian's newer packages keep the packed one beside the modules.
        places = [os.path.join(home, "boot", f"vmlinux-{release}"), os.path.join(home, "boot", f"vmlinuz-{release}"), os.path.join(folder, "vmlinuz")]
        self.image = next((path for path in places if os.path.exists(path)), None)
        if not self.image:
            raise PlanError(f"there is no image of {release}: {' or '.join(places)}. Make the parts again: ./dev clean hil && ./dev hil")
        self.modules = guest_image.KernelModules(folder)
        self.driver = driver


class Servers:
    """One npu-modeld for all devices of the plan that have the same arguments: they reach each other's memory."""

    def __init__(self, plan, run):
        self.running = []
        self.sockets = [f"npu{number}.sock" for number in range(len(plan.devices))]
        command = os.environ.get("NPU_HIL_SERVER", SERVER + " --vfio-user").split()
        started = []
        for number, arguments in enumerate(plan.devices):
            if arguments in started:
                continue
            started.append(arguments)
            paths = [os.path.join(run, socket) for socket, other in zip(self.sockets, plan.devices) if other == arguments]
            # Both sides get a short path relative to their folder: the name of a socket has 107 bytes.
            words = [os.path.relpath(path, ROOT) for path in paths]
            line = command + words[:1] + [word for path in words[1:] for word in (command[-1], path)]
            self._start(line + (["--one-machine"] if len(paths) > 1 else []) + arguments, paths, os.path.join(run, f"npu{number}.log"))

    def _start(self, line, paths, log_path):
        log = open(log_path, "wb")
        try:
            process = subprocess.Popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT, preexec_fn=die_with_parent)
        except OSError as error:
            raise PlanError(f"{line[0]} does not start: {error.strerror}. Build it: ./dev build npu-modeld") from None
        self.running.append((process, log.name))
        deadline = time.monotonic() + SERVER_SECONDS
        while not all(os.path.exists(path) for path in paths):
            self.check()
            if time.monotonic() > deadline:
                raise PlanError(f"the device server did not open {' and '.join(paths)} within {SERVER_SECONDS} s; its log: {log.name}")
            time.sleep(POLL_SECONDS)

    def check(self):
        for process, log in self.running:
            if process.poll() is not None:
                with open(log, encoding="utf-8", errors="replace") as stream:
                    tail = stream.read()[-2000:]
                raise PlanError(f"a device server ended with code {process.returncode} while it was needed. Its log ({log}) ends:\n{tail}")

    def stop(self):
        """Their end: a message when one did not end well."""
        trouble = []
        for process, log in self.running:
            if process.poll() is not None and process.returncode != 0:
                trouble.append(f"the device server ended with code {process.returncode} during the run; log: {log}")
            if process.poll() is None:
                process.terminate()
        for process, log in self.running:
            try:
                if process.wait(SERVER_SECONDS) not in (0, -signal.SIGTERM) and not trouble:
                    trouble.append(f"the device server ended with code {process.returncode} when told to end; log: {log}")
            except subprocess.TimeoutExpired:
                process.kill()
                trouble.append(f"the device server did not end within {SERVER_SECONDS} s of SIGTERM; log: {log}")
        return trouble


class Results:
    """Follows the guest's first port and files what comes."""

    def __init__(self, run, expected):
        self.raw = os.path.join(run, "results.raw")
        self.folder = os.path.join(run, "results")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.expected, self.position, self.rest = expected, 0, b""
        self.name, self.output, self.dmesg = None, [], []
        self.started = self.done = False
        self.count = 0
        self.progress = open(os.path.join(run, "progress"), "w", buffering=1, encoding="ascii")

    def read(self):
        try:
            with open(self.raw, "rb") as stream:
                stream.seek(self.position)
                chunk = stream.read()
        except FileNotFoundError:
            return
        self.position += len(chunk)
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        for line in lines:
            self._line(line.decode("utf-8", "replace"))

    def say(self, text):
        self.progress.write(text + "\n")
        print(text, flush=True)

    def _line(self, line):
        if line.startswith("|"):
            self.output.append(line[1:])
        elif line.startswith("!"):
            self.dmesg.append(line[1:])
        elif line.startswith("@stage "):
            self.started = True
            self.say(f"guest: {line[7:]}")
        elif line.startswith("@begin "):
            self.name, self.output = line[7:], []
        elif line == "@done":
            self.done = True
        else:
            end = re.fullmatch(r"@end ([A-Za-z0-9_.-]+) (\d+) (\d+)", line)
            if end and end.group(1) == self.name:
                self._store(int(end.group(2)), int(end.group(3)))

    def _store(self, code, milliseconds):
        base = os.path.join(self.folder, self.name)
        with open(base + ".out", "w", encoding="utf-8") as stream:
            stream.write("".join(line + "\n" for line in self.output))
        with open(base + ".json", "w", encoding="ascii") as stream:
            json.dump({"name": self.name, "code": code, "milliseconds": milliseconds}, stream)
        self.count += 1
        verdict = {0: "passed", 77: "skipped"}.get(code, f"FAILED ({code})")
        self.say(f"{self.count}/{self.expected} {self.name} {verdict} {milliseconds} ms")
        self.name = None


def follow(process, results, servers, seconds):
    """Until the machine is off; a reason when it had to be switched off, or when a server died."""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        results.read()
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            results.read()
            where = f"in test '{results.name}'" if results.name else "between tests" if results.started else "while booting"
            return f"the machine was switched off after {seconds} s, {where}"
        try:
            servers.check()
        except PlanError as error:
            process.kill()
            process.wait()
            results.read()
            return str(error)
        time.sleep(POLL_SECONDS)
    results.read()
    return None if results.done else f"the machine went off before its plan ended{', in test ' + results.name if results.name else ''}"


def write_log(run, results):
    """dmesg.log: what the guest sent at its end, else what it had streamed until then."""
    lines = results.dmesg
    if not results.done:
        with open(os.path.join(run, "kmsg.raw"), encoding="utf-8", errors="replace") as stream:
            lines = dmesg.from_kmsg(stream.read())
        with open(os.path.join(run, "console.log"), encoding="utf-8", errors="replace") as stream:
            lines += ["--- console ---"] + stream.read().splitlines()
    with open(os.path.join(run, "dmesg.log"), "w", encoding="utf-8") as stream:
        stream.write("".join(line + "\n" for line in lines))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", default="6.12")
    parser.add_argument("--plan", default=os.path.join(HERE, "plan.txt"))
    parser.add_argument("--only", default=os.environ.get("NPU_HIL_ONLY", ""), help="regular expression over test names")
    parser.add_argument("--module", help="npu.ko; default build/hil/module/KERNEL/driver/npu.ko; 'none': no driver")
    parser.add_argument("--run", metavar="COMMAND", help="run this one command as root instead of the plan's tests")
    parser.add_argument("--seconds", type=int, default=120, help="its time limit")
    parser.add_argument("--devices", type=int, help="this many devices instead of the plan's")
    parser.add_argument("--out", help="run folder")
    parser.add_argument("--shell", action="store_true")
    return parser.parse_args()


def prepare(options):
    plan = Plan(options.plan)
    factor = SLOW_FACTOR.get(options.kernel, 1)
    tests = [] if options.shell else plan.all_tests()
    if options.run:
        plan.suites, plan.tests = [], [Test("run", options.seconds, "root", options.run)]
        tests = plan.tests
    if options.devices is not None:
        plan.devices = (plan.devices + [[]] * options.devices)[:options.devices]
    if not any(re.search(options.only, name) for name in WHOLE_RUN):
        tests = [test for test in tests if re.search(options.only, "hil." + test.name)]
    for test in tests:
        test.seconds *= factor
    driver = options.module or os.path.join(HIL, "module", options.kernel, "driver", "npu.ko")
    return plan, tests, Kernel(options.kernel, None if driver == "none" else driver), BOOT_SECONDS * factor


def main():
    options = parse()
    plan, tests, kernel, boot_seconds = prepare(options)
    run = os.path.abspath(options.out or os.path.join(HIL, "run", options.kernel))
    os.makedirs(run, exist_ok=True)
    for name in os.listdir(run):
        if name.endswith((".raw", ".sock", ".log")):
            os.remove(os.path.join(run, name))
    start = time.monotonic()
    initrd = os.path.join(run, "initrd")
    size = guest_image.build(plan, tests, kernel, os.path.join(HIL, "cache"), initrd, options.shell)
    print(f"initramfs: {size >> 20} MiB, packed in {time.monotonic() - start:.1f} s", flush=True)

    results = Results(run, len(tests) + 1)
    servers = Servers(plan, run)
    command = qemu.command(qemu.native() or qemu.of_tree(kernel.tree), kernel.image, initrd, plan.memory, servers.sockets, run, options.shell)
    if options.shell:
        code = subprocess.call(command, cwd=run)
        servers.stop()
        return code
    with open(os.path.join(run, "qemu.log"), "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=run, preexec_fn=die_with_parent)
    reason = follow(process, results, servers, boot_seconds + sum(test.seconds for test in tests))
    trouble = ([reason] if reason else []) + servers.stop()
    write_log(run, results)
    with open(os.path.join(run, "results", "finish.json"), "w", encoding="ascii") as stream:
        json.dump({"trouble": trouble, "seconds": round(time.monotonic() - start, 1)}, stream)
    print(f"machine off after {time.monotonic() - start:.1f} s; logs in {run}")
    for line in trouble:
        print(line, file=sys.stderr)
    if options.run:
        sys.stdout.write(open(os.path.join(run, "results", "run.out"), encoding="utf-8").read() if os.path.exists(os.path.join(run, "results", "run.out")) else "")
    if not results.started:
        with open(os.path.join(run, "qemu.log"), encoding="utf-8", errors="replace") as stream:
            print(f"the guest never reached its tests; qemu said: {stream.read()[-2000:]}\nconsole: {run}/console.log", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
