#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The search for defects in a kernel log finds each kind, and lets a healthy log pass."""
import unittest

import dmesg

DEFECTS = """\
WARNING: CPU: 0 PID: 61 at drivers/gpu/drm/drm_gem.c:123 drm_gem_object_free+0x20/0x30
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: inconsistent lock state
BUG: unable to handle page fault for address: ffffc90000123000
BUG: KASAN: slab-use-after-free in npu_queue_free+0x12/0x80 [npu]
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:585
Oops: general protection fault, probably for non-canonical address 0xdead000000000100
kernel BUG at mm/slub.c:546!
Kernel panic - not syncing: Fatal exception
UBSAN: array-index-out-of-bounds in driver/npu_bo.c:10:3
INFO: task npu_test:77 blocked for more than 120 seconds.
WARNING: suspicious RCU usage
refcount_t: underflow; use-after-free.
unreferenced object 0xffff888003a1c000 (size 64):
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
list_del corruption, ffff88800 is NULL
watchdog: BUG: soft lockup - CPU#1 stuck for 134s!
[drm] *ERROR* npu: 1 object leaked: detected a leak of 4096 bytes
""".splitlines()

HEALTHY = """\
Linux version 6.12.117+deb13-amd64 (debian-kernel@lists.debian.org) (x86_64-linux-gnu-gcc-14)
Kernel command line: console=ttyS0 loglevel=5 panic=-1 oops=panic log_buf_len=4M
kasan: KernelAddressSanitizer initialized (generic)
... MAX_LOCKDEP_SUBCLASSES:  8
Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
npu: loading out-of-tree module taints kernel.
npu: module verification failed: signature and/or required key missing - tainting kernel
mtrr: your CPUs had inconsistent fixed MTRR settings
FAULT_INJECTION: forcing a failure.
Call Trace:
kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)
kmemleak: Automatic memory scanning thread started
Spectre V2 : User space: Vulnerable
""".splitlines()


class Log(unittest.TestCase):
    def test_every_kind_of_defect_is_found(self):
        for line in DEFECTS:
            self.assertEqual(dmesg.defects([line]), [(1, line)], line)

    def test_a_healthy_log_passes(self):
        self.assertEqual(dmesg.defects(HEALTHY), [])

    def test_records_of_kmsg_become_lines(self):
        text = "4,77,2500000,-;BUG: one\n SUBSYSTEM=pci\n6,78,3000001,c;two; three\n"
        self.assertEqual(dmesg.from_kmsg(text), ["[    2.500000] BUG: one", "[    3.000001] two; three"])


if __name__ == "__main__":
    unittest.main()
