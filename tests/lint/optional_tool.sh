#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a checker that a machine may lack: optional_tool.sh TOOL VERSION-TEXT FILE...; FORMATTED means every C and C++ file of ours.
# Exit code 77 (skipped) without the tool or with another version of it: versions of clang-format do not agree with each other.
set -euo pipefail
tool=$1 version=$2
shift 2
if ! command -v "$tool" >/dev/null; then
  echo "skipped: $tool is not installed" >&2
  exit 77
fi
if ! "$tool" --version | grep -q "$version"; then
  echo "skipped: this needs $tool $version; here is: $("$tool" --version | head -n 1)" >&2
  exit 77
fi
if [[ $1 != FORMATTED ]]; then exec "$tool" "$@"; fi
mapfile -t files < <(git ls-files -- '*.c' '*.cpp' '*.h' '*.hpp' ':!uapi/' ':!driver/')
((${#files[@]})) || exit 0
"$tool" --dry-run -Werror --ferror-limit=1 "${files[@]}" || {
  echo "formatting differs; ./dev fmt mends it" >&2
  exit 1
}
