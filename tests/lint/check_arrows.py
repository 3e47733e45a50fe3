#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which folder may include which: the arrows of ARCHITECTURE.md, checked on every #include line."""
import os
import posixpath
import re

import tree

C_STANDARD = {name + ".h" for name in (
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic "
    "stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype").split()}

# One row per folder, the longest matching prefix wins. A folder may always include itself.
# Words: C, C++ = their standard headers; posix = headers of system calls; linux = kernel headers; <x> = headers that start with x.
# Everything else is a folder or a file of this repository.
ARROWS = {
    "uapi": "<linux/types.h> <stdint.h> <stddef.h>",
    "uapi/npu_validate.h": "uapi <linux/types.h> <linux/errno.h>",
    "uapi/npu_ioctl.h": "uapi <drm/drm.h> <libdrm/drm.h>",
    "driver": "uapi linux <npu_config.h>",
    "libnpu/include": "C",
    "libnpu/include/npu/npu.hpp": "C C++ libnpu/include",
    "libnpu/src": "C C++ libnpu/include uapi",
    "libnpu/src/backend": "C C++ libnpu/include libnpu/src uapi posix <boost/interprocess/ <libdrm/drm.h> <xf86drm.h>",
    "libnpu/common": "C C++ libnpu/include",
    "libnpu/ops": "C C++ libnpu/include libnpu/common uapi/spec/ops.def",
    "libnpu/ml": "C C++ libnpu/include libnpu/src/backend libnpu/src/core uapi",
    "libnpu/ccl": "C C++ libnpu/include libnpu/common uapi posix <rdma/ <pmix <sodium <isa-l/",
    "libnpu/ccl/schedule": "C C++ libnpu/ccl/schedule",
    "libnpu/ccl/schedule/export_json.cpp": "C C++ libnpu/ccl/schedule <nlohmann/",
    "firmware-model": "C C++ uapi posix <sodium <toml++/ <boost/interprocess/ <seccomp.h>",
    "firmware-model/server/modeld.cpp": "C C++ uapi firmware-model posix <CLI/",
    "firmware-model/tile": "C C++ uapi firmware-model posix <hwy/",
    "firmware-model/kernels": "C C++ uapi firmware-model tools/isa",
    "tools": "C C++ libnpu/include posix <CLI/ <nlohmann/ <ncurses <prometheus/",
    "tools/isa": "C C++ uapi <sodium",
    "tools/specdoc": "C C++ uapi",
    "tools/npu-as": "C C++ uapi tools/isa <CLI/",
    "tools/npu-dis": "C C++ uapi tools/isa <CLI/",
    "tools/npu-dbg": "C C++ uapi tools/isa firmware-model posix <CLI/",
    "tools/npu-fw": "C C++ uapi tools/isa posix <CLI/ <sodium <nlohmann/",
    "tools/trace": "C C++ libnpu/include tools/isa/outcome.h posix <CLI/ <nlohmann/",
    "tools/npu-trace": "C C++ tools/trace tools/isa/command_line.h posix <CLI/",
    "tools/npu-perf": "C C++ libnpu/include libnpu/ccl/schedule firmware-model/network/profile.h tools/trace tools/isa <CLI/",
    "samples": "C C++ libnpu/include <CLI/ <nlohmann/",
    "samples/kernels": "C C++ libnpu/include tools/isa/include",
    "samples/fork_server": "C libnpu/include posix",
    "samples/ipc_producer_consumer": "C libnpu/include posix",
    "integrations": "C C++ libnpu/include <",
}
UNCHECKED = ("tests/", "cmake/")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
MACRO_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([A-Za-z_]\w*)', re.MULTILINE)
# Where a path in an #include may start, besides the folder of the file: the root, and the roots of the public headers.
INCLUDE_ROOTS = ("", "libnpu/include", "tools/isa/include")
# Self-includes of X-macro headers: HWY's foreach_target.h includes the file named by this macro, nothing else may.
ALLOWED_MACRO_INCLUDES = {"HWY_TARGET_INCLUDE"}


def rule_of(path):
    """The row for |path| as (folder, words), or None for a folder that no row names."""
    best = None
    for folder in ARROWS:
        if (path == folder or path.startswith(folder + "/")) and (best is None or len(folder) > len(best)):
            best = folder
    return (best, ARROWS[best].split()) if best else None


def resolve(path, name, files):
    """The file of this repository that |name| means when |path| includes it, or None."""
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
    for candidate in [beside] + [posixpath.normpath(posixpath.join(r, name)) for r in INCLUDE_ROOTS]:
        if candidate in files:
            return candidate
    return None


def own_folder(path, folder):
    """What 'itself' means: for samples, tools and integrations each subfolder is a world of its own."""
    if folder in ("samples", "tools", "integrations"):
        return "/".join(path.split("/")[:2])
    return folder


def external_class(name):
    if name in C_STANDARD:
        return "C"
    if re.fullmatch(r"[a-z_0-9]+", name):
        return "C++"
    if name.startswith(("linux/", "asm/", "drm/", "generated/", "uapi/", "trace/")):
        return "linux"
    if "/" not in name or name.startswith(("sys/", "netinet/", "arpa/", "net/")):
        return "posix"
    return "library"


def allowed(path, target, name):
    """True if |path| may include |target| (a file of ours) or, where that is None, the external header |name|."""
    folder, words = rule_of(path)
    if target is not None:
        places = words + [own_folder(path, folder)]
        return any(target == p or target.startswith(p + "/") for p in places if not p.startswith("<"))
    kind = external_class(name)
    if kind in words or (kind == "linux" and name.startswith("linux/") and "posix" in words):
        return True
    return any(("<" + name + ">").startswith(word) for word in words if word.startswith("<"))


def check(root, files):
    known = set(files)
    for path in files:
        if not tree.is_source(path) or path.startswith(UNCHECKED):
            continue
        text = tree.without_comments(tree.read_text(root, path))
        if rule_of(path) is None:
            yield f"{path}:1: no arrow names this folder; add a row to tests/lint/check_arrows.py and to ARCHITECTURE.md"
            continue
        for match in MACRO_INCLUDE.finditer(text):
            if match.group(1) not in ALLOWED_MACRO_INCLUDES:
                line = text.count("\n", 0, match.start()) + 1
                yield f"{path}:{line}: #include {match.group(1)}: an include names its file, so that arrows can be read"
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            quote, name = match.groups()
            target = resolve(path, name, known)
            if target is None and quote == '"':
                yield f'{path}:{line}: "{name}" is no file of this repository; write the path from the root'
            elif not allowed(path, target, name):
                yield f"{path}:{line}: {rule_of(path)[0]} may not include {target or '<' + name + '>'}"


if __name__ == "__main__":
    tree.main("a wrong include arrow (see ARCHITECTURE.md, 'Who may include whom')", check)
