#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py MODELD STAND_IN PROGRAM [ARGUMENT...]: runs PROGRAM on the kernel road, with a daemon of its own behind a stand-in for the node."""
import os
import subprocess
import sys
import tempfile


def main():
    modeld, stand_in, program = sys.argv[1:4]
    with tempfile.TemporaryDirectory(prefix="npu-stand-in-") as folder:
        socket, node = os.path.join(folder, "modeld.sock"), os.path.join(folder, "accel0")
        open(node, "w", encoding="ascii").close()
        daemon = subprocess.Popen([modeld, "--spec", "tiny", "--socket", socket, "--idle-exit", "0"], stdout=subprocess.PIPE)
        try:
            if not daemon.stdout.readline().startswith(b"ready "):
                sys.exit(f"{modeld} did not start")
            environment = dict(os.environ, LD_PRELOAD=stand_in, NPU_STAND_IN_NODE=node, NPU_STAND_IN_SOCKET=socket,
                               NPU_DEVICE="accel:" + node)
            return subprocess.call([program] + sys.argv[4:], env=environment)
        finally:
            daemon.terminate()
            daemon.wait()


if __name__ == "__main__":
    sys.exit(main())
