#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_alone.sh COMMAND...: runs a test with a runtime folder that nobody else uses; a daemon that it starts ends by itself.
folder=$(mktemp -d "${TMPDIR:-/tmp}/npu-alone.XXXXXX") || exit 1
XDG_RUNTIME_DIR=$folder "$@"
code=$?
rm -rf "$folder"
exit $code
