#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs the SDK into a fresh folder, moves it, and builds and runs a program against it: with pkg-config, and with find_package(npu)."""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile


def run(command, env=None, cwd=None):
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        print(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}", file=sys.stderr)
        sys.exit(1)
    return done.stdout


def environment(options, prefix):
    env = dict(os.environ)
    libdir = os.path.join(prefix, options.libdir)
    env["PKG_CONFIG_PATH"] = os.path.join(libdir, "pkgconfig")
    env["CMAKE_PREFIX_PATH"] = prefix
    env["LD_LIBRARY_PATH"] = libdir
    env["NPU_DEVICE"] = "inproc:tiny"
    env["NPU_MODEL_LIBRARY"] = options.model
    return env


def with_pkg_config(options, env, folder):
    flags = run(["pkg-config", "--cflags", "--libs", "npu"], env).split()
    binary = os.path.join(folder, "by-pkg-config")
    source = os.path.join(options.source, "main.c")
    run([*options.cc.split(), "-std=c11", "-Wall", "-Wextra", "-Werror", source, *flags, "-o", binary], env)
    return run([binary], env)


def with_find_package(options, env, folder):
    build = os.path.join(folder, "by-cmake")
    run([options.cmake, "-G", "Ninja", "-S", options.source, "-B", build, f"-DCMAKE_C_COMPILER={options.cc}"], env)
    run([options.cmake, "--build", build], env)
    return run([os.path.join(build, "program")], env)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--cmake", "--build", "--cc", "--source", "--libdir", "--model"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    if not shutil.which("pkg-config"):
        print("skipped: pkg-config is not installed", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        first = os.path.join(folder, "first")
        prefix = os.path.join(folder, "moved")
        run([options.cmake, "--install", options.build, "--prefix", first, "--component", "sdk"])
        os.rename(first, prefix)
        env = environment(options, prefix)
        for output in (with_pkg_config(options, env, folder), with_find_package(options, env, folder)):
            if output.strip() != "copied 4096 bytes":
                print(f"the program printed: {output}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
