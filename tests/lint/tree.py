# SPDX-License-Identifier: Apache-2.0
"""What the repository checks share: the list of files, C text without comments and strings, and the report."""
import argparse
import os
import re
import subprocess
import sys

SOURCE_SUFFIXES = (".c", ".cpp", ".h", ".hpp", ".def")
SCRIPT_SUFFIXES = (".py", ".sh", ".cmake", ".map", ".toml", ".npuasm")
SCRIPT_NAMES = ("CMakeLists.txt", "dev", "run")
# Inputs and expected outputs of tests, and texts of others: their bytes are not ours to style.
DATA_FOLDERS = ("LICENSES/", "tests/fuzz/corpus/", "tests/golden/", "samples/llm/model/")


def repository_root():
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def list_files(root):
    """Paths relative to |root|: tracked files and new ones that git does not ignore; without git, all but build/."""
    try:
        out = subprocess.run(["git", "-C", root, "ls-files", "-z", "-co", "--exclude-standard"],
                             capture_output=True, check=True).stdout
        names = [name for name in out.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, subfolders, files in os.walk(root):
            subfolders[:] = [s for s in subfolders if s not in (".git", "build", "__pycache__")]
            names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return sorted(name for name in set(names) if os.path.isfile(os.path.join(root, name)))


def is_source(path):
    return path.endswith(SOURCE_SUFFIXES)


def is_script(path):
    return path.endswith(SCRIPT_SUFFIXES) or os.path.basename(path) in SCRIPT_NAMES


def is_data(path):
    return path.startswith(DATA_FOLDERS)


def read_text(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()


_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/'                                    # comments
    r'|R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"'           # raw strings
    r'|"(?:\\.|[^"\\\n])*"'                                  # strings
    r"|(?<![0-9a-fA-FxX])'(?:\\.|[^'\\\n])+'",               # characters, but not the separators of 1'000
    re.DOTALL)


def blank(match):
    """The same number of lines, nothing else."""
    return re.sub(r"[^\n]", " ", match.group(0))


def without_comments(text):
    return _TOKEN.sub(lambda m: blank(m) if m.group(0).startswith(("//", "/*")) else m.group(0), text)


def without_comments_and_strings(text):
    return _TOKEN.sub(blank, text)


def main(description, check):
    """Runs |check|(root, files), which yields 'path:line: sentence', and ends the process with 0 or 1."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", default=repository_root(), help="repository to look at")
    root = parser.parse_args().root
    findings = list(check(root, list_files(root)))
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings:
        print(f"{len(findings)} findings: {description}", file=sys.stderr)
    sys.exit(1 if findings else 0)
