# SPDX-License-Identifier: Apache-2.0
"""The rate of this host's time stamp counter, which an emulated CPU shows to its guest.

A guest that finds the rate out by itself gets it wrong on a busy host, once by a factor of fifteen: its clock then races,
and every timeout in it fires early. So the guest is told.
"""
import ctypes
import mmap
import platform
import time

SPAN_NS = 100_000_000
RDTSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")  # rdtsc; shl rdx,32; or rax,rdx; ret
TRIES = 5


def tsc_khz():
    """None where it cannot be read: not x86-64, or a host that allows no fresh code."""
    if platform.machine() != "x86_64":
        return None
    try:
        code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return None
    code.write(RDTSC)
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))

    def sample():
        """The pair of readings with the least time between them: an interruption between the two would spoil the rate."""
        best = None
        for _ in range(TRIES):
            before = time.monotonic_ns()
            ticks = read()
            after = time.monotonic_ns()
            if best is None or after - before < best[0]:
                best = (after - before, (before + after) // 2, ticks)
        return best[1:]

    start_ns, start_ticks = sample()
    time.sleep(SPAN_NS / 1e9)
    end_ns, end_ticks = sample()
    return (end_ticks - start_ticks) * 1_000_000 // (end_ns - start_ns)
