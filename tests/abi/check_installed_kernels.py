#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs the SDK into a fresh folder, moves it, and does what a user with kernels of his own does, away from the source tree: makes a key and lets
the model accept it, builds steps of docs/kernels.md with find_package(npu) and npu_add_blob(), and runs them on the device model."""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import check_installed

STEPS = ("01_vector_add", "03_pipeline")


def copy_project(options, folder):
    project = os.path.join(folder, "project")
    shutil.copytree(options.source, project)
    for step in STEPS:
        shutil.copytree(os.path.join(options.samples, step), os.path.join(project, step))
    shutil.copy(os.path.join(options.samples, "host.h"), project)
    return project


def expect_failure(command, env, texts):
    """None if |command| fails and says each of |texts|; else what it did."""
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    output = " ".join((done.stdout + done.stderr).split())
    if done.returncode and all(text in output for text in texts):
        return None
    return f"{' '.join(command)} ended with {done.returncode} and did not say {texts}:\n{output}"


def check(options, folder):
    first, prefix = os.path.join(folder, "first"), os.path.join(folder, "moved")
    check_installed.run([options.cmake, "--install", options.build, "--prefix", first, "--component", "sdk"])
    os.rename(first, prefix)
    env = check_installed.environment(options, prefix)
    env["NPU_KEY_DIR"] = os.path.join(folder, "keys")
    project, build = copy_project(options, folder), os.path.join(folder, "build")
    configure = [options.cmake, "-G", "Ninja", "-S", project, "-B", build, f"-DCMAKE_CXX_COMPILER={options.cxx}"]

    yield expect_failure(configure, env, ["there is no secret key", "npu-fw keygen"])
    npu_fw = os.path.join(prefix, "bin", "npu-fw")
    check_installed.run([npu_fw, "keygen", os.path.join(project, "me")], env)
    check_installed.run(configure, env)
    check_installed.run([options.cmake, "--build", build], env)
    programs = [os.path.join(build, step) for step in STEPS]
    yield expect_failure([programs[0]], env, ["key"])  # nobody has enrolled it
    check_installed.run([npu_fw, "enrol", os.path.join(project, "me.pub")], env)
    for program in programs:
        output = check_installed.run([program], env)
        yield None if output.rstrip().endswith("PASSED") else output

    listing = check_installed.run([npu_fw, "inspect", os.path.join(build, "my_blob.nfw")], env)
    yield None if "vector_add" in listing and "relu_add_pipelined" in listing else listing
    # The line table names sources as the project does, not where it lies.
    text = check_installed.run([os.path.join(prefix, "bin", "npu-dis"), os.path.join(build, "my_blob.nfw")], env)
    yield None if '"03_pipeline/relu_add.cpp"' in text and '"01_vector_add/vector_add.s"' in text and folder not in text else text


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--cmake", "--build", "--cxx", "--source", "--samples", "--libdir", "--model"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        problems = [problem for problem in check(options, folder) if problem]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
