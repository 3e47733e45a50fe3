# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ggml and llama.cpp of Debian in a tree of their own, and what runs there. Sourced by integrations.sh.
# llama.cpp is in Debian's sid only (0.7.0 with libggml 0.27); its programs find the backend by GGML_BACKEND_PATH.
# shellcheck disable=SC2154  # root and trees are common.sh's

ggml_tree=$trees/sid
build_dir=$root/build/${NPU_INTEGRATIONS_PRESET:-dev}
models=$(cd "$root/.." && pwd)/shared/models

make_framework_tree() {
  make_tree sid llama.cpp llama.cpp-tools-extra llama.cpp-examples llama.cpp-tests libggml-dev
}

# Libraries of this machine that the device model needs and the tree has not, or in another version. The C and C++ libraries are the tree's: newer ones run older programs.
# Each is made aside and renamed: several programs may start at once.
copy_libraries() {
  local path to
  mkdir -p "$trees/lib"
  while read -r path; do
    to=$trees/lib/${path##*/}
    [[ -e $to ]] || { cp -L "$path" "$to.$$" && mv "$to.$$" "$to"; }
  done < <(ldd "$build_dir"/firmware-model/server/{npu-modeld,libnpu_model.so.1} "$build_dir"/libnpu/libnpu{,ccl}.so.1 |
    awk '$3 ~ /^\// && $1 !~ /^(libc|libm|libstdc\+\+|libgcc_s|libnpu.*)\.so/ { print $3 }' | sort -u)
}

# in_framework COMMAND...: in the tree, with the backend; NPU_*, GGML_* and LLAMA_* of the caller's environment are kept.
in_framework() {
  local variable kept=()
  [[ -f $ggml_tree/.stamp ]] || die "there is no tree of ggml yet." "./dev integrations build ggml"
  copy_libraries
  for variable in $(compgen -v); do
    if [[ $variable =~ ^(NPU|GGML|LLAMA)_ && -n ${!variable-} ]]; then kept+=("$variable=${!variable}"); fi
  done
  mkdir -p "$ggml_tree$models"
  in_root_with "$models" "$ggml_tree" env LD_LIBRARY_PATH="$trees/lib:$build_dir/libnpu:$build_dir/firmware-model/server" GGML_BACKEND_PATH="$build_dir/integrations/libggml-npu.so" \
    NPU_OPS_BLOB="$build_dir/blobs/npu_ops.nfw" NPU_CCL_BLOB="$build_dir/blobs/npu_ccl.nfw" PATH="$build_dir/firmware-model/server:/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec/x86_64-linux-gnu/llama.cpp-tests" \
    "${kept[@]}" "$@"
}

run_framework_tests() {
  python3 "$root/integrations/ggml/run_tests.py" "$@"
}
