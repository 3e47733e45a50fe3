#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/reference/*.md from uapi/spec/*.def, and the struct tables of the contract pages from the uapi headers.

  specdoc.py           writes what has changed
  specdoc.py --check   writes nothing; ends with 1 and names each page that is stale

A contract page asks for a table by a line '<!-- struct NAME -->'; what stands between it and the next '<!-- end -->' is ours.
The output depends on the inputs alone: no date, no path, no locale."""
import argparse
import glob
import os
import re
import sys

import pages
import spec

STRUCT_BLOCK = re.compile(r"(<!-- struct (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
STRUCT_MARK = re.compile(r"<!-- struct (\w+) -->")


def repository_root():
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def fill_structs(path, text, layouts):
    """The page with its struct tables filled in."""
    filled = STRUCT_BLOCK.sub(lambda m: m.group(1) + pages.struct_table(layouts, m.group(2)) + m.group(3), text)
    if len(STRUCT_MARK.findall(text)) != len(STRUCT_BLOCK.findall(text)):
        raise spec.SpecError(f"{path}: a '<!-- struct ... -->' has no '<!-- end -->'")
    return filled


def outputs(root):
    """{path: text} of everything that this program owns or owns parts of."""
    result = {f"docs/reference/{name}.md": text for name, text in pages.all_pages(root)}
    layouts = pages.all_layouts(root)
    for path in sorted(glob.glob("docs/*.md", root_dir=root)):
        result[path] = fill_structs(path, spec.read(root, path), layouts)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=repository_root(), help="repository to read and write")
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args()
    try:
        wanted = outputs(options.root)
    except (spec.SpecError, OSError) as error:
        print(f"specdoc: {error}", file=sys.stderr)
        return 1
    stale = []
    for path, text in wanted.items():
        full = os.path.join(options.root, path)
        if os.path.exists(full) and spec.read(options.root, path) == text:
            continue
        stale.append(path)
        if not options.check:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
    for path in stale:
        print(f"{path}: stale; run tools/specdoc/specdoc.py" if options.check else f"wrote {path}", file=sys.stderr)
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
