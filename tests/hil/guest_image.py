# SPDX-License-Identifier: Apache-2.0
"""Puts together the initramfs of one run: busybox, /init, kernel modules in loading order, the plan and the programs it names."""
import os
import re
import struct

from initramfs import Archive
from plan import HERE, ROOT, PlanError

# Hidden symbols of the kernel that some helper modules provide at run time, beyond what the driver's "depends" says.
PASSWD = "root:x:0:0::/tmp:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
GROUP = "root:x:0:\nrender:x:105:user\nuser:x:1000:\nnogroup:x:65534:\n"


def module_depends(path):
    """The names in the 'depends' line of a module's .modinfo; read from the bytes, so that nothing has to be installed."""
    with open(path, "rb") as stream:
        content = stream.read()
    if content[:4] != b"\x7fELF" or struct.unpack_from("<H", content, 18)[0] != 62:
        raise PlanError(f"{path} is not a kernel module for x86-64.")
    found = re.search(rb"\0depends=([^\0]*)\0", content)
    return [name for name in (found.group(1).decode() if found else "").split(",") if name]


class KernelModules:
    """The modules of one installed kernel: /lib/modules/RELEASE of a tree."""

    def __init__(self, folder):
        self.folder = folder
        self.paths, self.needs = {}, {}
        with open(os.path.join(folder, "modules.dep"), encoding="utf-8") as stream:
            for line in stream:
                path, _, needs = line.partition(":")
                name = self.name_of(path)
                self.paths[name] = path
                self.needs[name] = [self.name_of(need) for need in needs.split()]
        with open(os.path.join(folder, "modules.builtin"), encoding="utf-8") as stream:
            self.builtin = {self.name_of(line) for line in stream}

    @staticmethod
    def name_of(path):
        return os.path.basename(path.strip()).split(".")[0].replace("-", "_")

    def closure(self, names):
        """The named modules and all that they need, each after what it needs. "?name": only if there is one."""
        order = []

        def add(name):
            name = name.replace("-", "_")
            if name in self.builtin or name in order:
                return
            if name not in self.paths:
                raise PlanError(f"this kernel has no module '{name}' ({self.folder}).")
            for need in self.needs[name]:
                add(need)
            order.append(name)

        for name in names:
            if name.startswith("?") and name[1:].replace("-", "_") not in self.paths:
                continue
            add(name.removeprefix("?"))
        return [(name, os.path.join(self.folder, self.paths[name])) for name in order]


def shell_quote(text):
    return "'" + text.replace("'", "'\\''") + "'"


def build(plan, tests, kernel, cache, out, shell=False):
    """Writes the initramfs to `out`; returns its size in bytes. `kernel`: .modules (KernelModules), .driver (path or None), .busybox."""
    archive = Archive(cache)
    archive.file("/bin/busybox", kernel.busybox)
    archive.file("/init", os.path.join(HERE, "guest", "init"))
    for folder in ("/proc", "/sys", "/dev", "/tmp", "/run", "/sbin", "/usr/bin", ROOT):
        archive.directory(folder)
    archive.data("/etc/passwd", PASSWD.encode())
    archive.data("/etc/group", GROUP.encode())

    loads = []
    wanted = plan.modules + (module_depends(kernel.driver) if kernel.driver else [])
    for name, path in kernel.modules.closure(wanted):
        target = f"/lib/modules/{name}.ko"
        archive.module(target + ".xz" if path.endswith(".xz") else target, path)
        loads.append(target)
    if kernel.driver:
        archive.stripped("/lib/modules/npu.ko", kernel.driver)
        loads.append(" ".join(["/lib/modules/npu.ko"] + plan.parameters))
    archive.data("/hil/modules", "".join(line + "\n" for line in loads).encode())

    lines = [f"{test.name}\t{test.seconds}\t{test.user}\t{test.command}\n" for test in tests]
    archive.data("/hil/plan", "".join(lines).encode())
    settings = [f"HIL_ROOT={shell_quote(ROOT)}"]
    for entry in plan.environment:
        key, _, value = entry.partition("=")
        settings.append(f"export {key}={shell_quote(value)}")
    archive.data("/hil/environment", "".join(line + "\n" for line in settings).encode())
    if shell:
        archive.data("/hil/shell", b"")

    for path in plan.programs() + plan.packed:
        source = os.path.join(ROOT, path)
        if not os.path.exists(source):
            raise PlanError(f"{path} does not exist. Build it (./dev build), or take it out of {plan.path}.")
        archive.host(source)
    for path in plan.firmware:
        source = os.path.join(ROOT, path)
        if not os.path.isfile(source):
            raise PlanError(f"the firmware file {path} does not exist. Build it (./dev build), or take it out of {plan.path}.")
        archive.file("/lib/firmware/npu/" + os.path.basename(path), source)
    return archive.write(out)
