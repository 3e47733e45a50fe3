# SPDX-License-Identifier: Apache-2.0
"""Finds a QEMU that speaks vfio-user and makes its command line."""
import json
import os
import re
import shutil
import subprocess

import host_clock
from plan import PlanError

VFIO_USER_SINCE = (10, 1)
CPUS = 2
# Slow, shared machines must not look like lock-ups; the watchdog of the whole run is on the host. Four levels of page tables (no5lvl): an interrupt while the boot processor's features are
# being found out meets a kernel that takes itself for one of four for a moment, and KASAN's report of that turns lockdep off.
KERNEL_ARGUMENTS = ("console=ttyS0 loglevel=5 panic=-1 oops=panic log_buf_len=4M watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 "
                    "no5lvl no_timer_check mitigations=off cryptomgr.notests random.trust_cpu=on raid=noautodetect")


def native():
    """The host's own QEMU, when it is new enough."""
    path = shutil.which("qemu-system-x86_64")
    if not path:
        return None
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)\.(\d+)", text)
    return [path] if found and tuple(map(int, found.groups())) >= VFIO_USER_SINCE else None


def of_tree(tree):
    """The QEMU of a Debian tree, run in place by the tree's own loader and libraries: neither chroot nor root."""
    program = os.path.join(tree, "usr/bin/qemu-system-x86_64")
    if not os.path.exists(program):
        raise PlanError(f"{program} is missing. Make the parts again: ./dev clean hil && ./dev hil")
    return [os.path.join(tree, "lib64/ld-linux-x86-64.so.2"), "--library-path", os.path.join(tree, "usr/lib/x86_64-linux-gnu"), program,
            "-L", os.path.join(tree, "usr/share/qemu"), "-L", os.path.join(tree, "usr/share/seabios")]


def kernel_arguments(shell):
    khz = host_clock.tsc_khz()
    return KERNEL_ARGUMENTS + (f" tsc=reliable tsc_early_khz={khz}" if khz else "") + (" nokaslr" if shell else "")


def command(program, kernel, initrd, memory, sockets, run, shell=False, extra=()):
    """`run`: folder for console.log, results.raw and kmsg.raw. `sockets`: one vfio-user server each, relative to it."""
    arguments = program + [
        "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
        "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(CPUS), "-m", memory,
        "-object", f"memory-backend-memfd,id=ram,size={memory},share=on",
        "-machine", "q35,memory-backend=ram",
        "-kernel", kernel, "-initrd", initrd, "-append", kernel_arguments(shell),
        "-device", "virtio-serial-pci",
    ]
    for number, name in enumerate(("results", "kmsg"), start=1):
        arguments += ["-chardev", f"file,id={name},path={os.path.join(run, name)}.raw",
                      "-device", f"virtserialport,chardev={name},nr={number},name={name}"]
    arguments += ["-serial", "mon:stdio", "-s"] if shell else ["-serial", f"file:{os.path.join(run, 'console.log')}", "-monitor", "none"]
    # One switch, as in machines with many accelerators: the kernel lets its ports be peers whatever the host bridge is (decision 0052).
    arguments += ["-device", "pcie-root-port,id=rp0,chassis=1", "-device", "x3130-upstream,id=switch,bus=rp0"]
    for number, path in enumerate(sockets):
        device = {"driver": "vfio-user-pci", "bus": f"port{number}", "rombar": 0, "socket": {"type": "unix", "path": path}}
        arguments += ["-device", f"xio3130-downstream,id=port{number},bus=switch,chassis={number + 2}", "-device", json.dumps(device)]
    return arguments + list(extra)
