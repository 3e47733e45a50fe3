# SPDX-License-Identifier: Apache-2.0
"""Writes a Linux initramfs (cpio, format newc) without root and without cpio(1).

Files keep the absolute path that they have on the host, so run-time paths, models and blobs are found without translation.
ELF files bring their libraries and their loader along, and lose their debug information on the way (kept in a cache).
"""
import hashlib
import lzma
import os
import re
import stat
import subprocess

ALIGN = 4
X86_64 = (62).to_bytes(2, "little")
ELF_MAGIC = b"\x7fELF"


class Archive:
    """Collects entries by absolute path; parents appear by themselves; the same path twice is one entry."""

    def __init__(self, cache):
        self.cache = cache
        self.entries = {}  # path -> (mode, content: bytes | path of a host file | target of a link)
        self.scanned = set()
        os.makedirs(cache, exist_ok=True)

    def directory(self, path, mode=0o755):
        path = os.path.normpath(path)
        if path == "/" or path in self.entries:
            return
        self.directory(os.path.dirname(path))
        self.entries[path] = (stat.S_IFDIR | mode, b"")

    def data(self, path, content, mode=0o644):
        self.directory(os.path.dirname(path))
        self.entries[path] = (stat.S_IFREG | mode, content)

    def link(self, path, target):
        self.directory(os.path.dirname(path))
        self.entries[path] = (stat.S_IFLNK | 0o777, target.encode())

    def file(self, path, source):
        """One file without its libraries."""
        mode = 0o755 if os.access(source, os.X_OK) else 0o644
        self.directory(os.path.dirname(path))
        self.entries[path] = (stat.S_IFREG | mode, source)

    def module(self, path, source):
        """A kernel module, decompressed here because the guest is slower at it."""
        if not source.endswith(".xz"):
            self.file(path, source)
            return
        plain = self._cached(source, ".ko", lambda out: _write(out, lzma.open(source).read()))
        self.file(path.removesuffix(".xz"), plain)

    def stripped(self, path, source):
        """An ELF file without its debug information, which the guest has no use for."""
        lean = self._cached(source, "", lambda out: subprocess.run(["strip", "-g", "-o", out, source], check=True))
        self.directory(os.path.dirname(path))
        self.entries[path] = (stat.S_IFREG | 0o755, lean)

    def host(self, path):
        """A file or folder of the host at its own path, with all that its programs need."""
        path = os.path.abspath(path)
        if os.path.isdir(path):
            self.directory(path)
            for folder, _, names in os.walk(path):
                for name in names:
                    self.host(os.path.join(folder, name))
            return
        if path in self.scanned:
            return
        self.scanned.add(path)
        if os.path.islink(path):
            self.link(path, os.readlink(path))
            self.host(os.path.join(os.path.dirname(path), os.readlink(path)))
            return
        # Firmware blobs are ELF files too, of another machine: not a byte of them may change.
        with open(path, "rb") as stream:
            head = stream.read(20)
        if head[:4] != ELF_MAGIC or head[18:20] != X86_64:
            self.file(path, path)
            return
        self.stripped(path, path)
        for library in libraries_of(path):
            self.host_library(library)

    def host_library(self, path):
        """A library under the name that the loader looks for, whatever link it is."""
        real = os.path.realpath(path)
        if path in self.entries:
            return
        if path != real:
            self.directory(os.path.dirname(path))
            self.link(path, real)
        self.host(real)

    def _cached(self, source, suffix, make):
        info = os.stat(source)
        key = hashlib.sha256(f"{source} {info.st_size} {info.st_mtime_ns}".encode()).hexdigest()[:24]
        out = os.path.join(self.cache, key + suffix)
        if not os.path.exists(out):
            make(out + ".part")
            os.replace(out + ".part", out)
        os.utime(out)
        return out

    def write(self, out):
        """Writes the archive; returns its size in bytes."""
        with open(out + ".part", "wb", buffering=1 << 20) as stream:
            for number, path in enumerate(sorted(self.entries), start=1):
                mode, content = self.entries[path]
                if isinstance(content, str):
                    with open(content, "rb") as source:
                        content = source.read()
                _entry(stream, number, path.lstrip("/"), mode, content)
            _entry(stream, 0, "TRAILER!!!", 0, b"")
            size = stream.tell()
        os.replace(out + ".part", out)
        return size


def libraries_of(program):
    """Absolute paths of the loader and of all libraries of an ELF file, as this host finds them."""
    result = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        return []  # static
    missing = re.findall(r"^\s*(\S+) => not found", result.stdout, re.M)
    if missing:
        raise SystemExit(f"hil: {program} needs {', '.join(missing)}, which this machine does not have. Build it again: ./dev build")
    return re.findall(r"(?:=> |^\s*)(/\S+) \(0x", result.stdout, re.M)


def _write(path, content):
    with open(path, "wb") as stream:
        stream.write(content)


def _entry(stream, number, name, mode, content):
    raw = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(raw), 0)
    stream.write(b"070701" + b"".join(b"%08X" % field for field in fields) + raw)
    _pad(stream)
    stream.write(content)
    _pad(stream)


def _pad(stream):
    stream.write(b"\0" * (-stream.tell() % ALIGN))
