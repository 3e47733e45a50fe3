# SPDX-License-Identifier: Apache-2.0
"""What may not be in a kernel log, and how the log of a guest becomes text."""
import re

# Lines with which the kernel reports a defect. Call traces without one of these belong to injected faults.
DEFECT = re.compile(r"""
    WARNING:\ | \bBUG:\ | \bBUG\ at\ | kernel\ BUG | Oops | Kernel\ panic | general\ protection\ fault | unable\ to\ handle
    | possible\ (circular|recursive|irq)\b | inconsistent\ lock\ state | bad\ unlock\ balance | held\ lock\ freed
    | INFO:\ (trying\ to\ register|task|rcu|lockdep|possible) | lock\ held\ when\ returning | still\ has\ locks\ held | DEBUG_LOCKS_WARN
    | sleeping\ function\ called | suspicious\ RCU | scheduling\ while\ atomic | MAX_LOCK(DEP|_DEPTH)\S*\ too\ | turning\ off\ the\ locking
    | KASAN | UBSAN | KCSAN | refcount_t: | use-after-free | list_(add|del)\ corruption | unreferenced\ object
    | ODEBUG: | workqueue\ lockup | blocked\ for\ more\ than | bad\ page | Bad\ page | detected\ .*\ leak | memory\ leak
    """, re.X)
# The kernel says what it is ready to report; these lines of a debug kernel's start are no reports.
ANNOUNCEMENT = re.compile(r"KernelAddressSanitizer initialized|MAX_LOCKDEP|Kernel command line:|kmemleak: Kernel memory leak detector initialized")


def defects(lines):
    """Numbers (from 1) and text of the lines that report a defect."""
    return [(number, line) for number, line in enumerate(lines, start=1) if DEFECT.search(line) and not ANNOUNCEMENT.search(line)]


def from_kmsg(text):
    """The records of /dev/kmsg ("prio,seq,usec,flags;text") as dmesg prints them."""
    lines = []
    for line in text.splitlines():
        record = re.match(r"\d+,\d+,(\d+),[^;]*;(.*)", line)
        if record:
            lines.append(f"[{int(record.group(1)) / 1e6:12.6f}] {record.group(2)}")
    return lines
