#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Peers of ./dev bench that live in trees of their own.
#   peers.sh tree | torch: PyTorch of Debian 13. Its fp32 is as fast as the BLAS it finds: the reference one without libopenblas0-pthread.
#   peers.sh llama MODEL COUNT THREADS: llama.cpp, which ./dev integrations build ggml installs, on the CPU: JSON of llama-bench. MODEL: a path below ../shared/models.
# shellcheck source-path=SCRIPTDIR source=../../integrations/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../integrations/common.sh"

suite=trixie

case ${1-} in
  tree) make_tree "$suite" python3-torch libopenblas0-pthread ;;
  torch)
    # Answers requests on stdin: see torch_peer.py.
    [[ -f $trees/$suite/.stamp ]] || die "there is no tree of PyTorch." "./dev bench gemm makes it (root, once)"
    in_root "$trees/$suite" env OPENBLAS_THREAD_TIMEOUT=4 python3 "$root/tests/bench/torch_peer.py"
    ;;
  llama)
    [[ -f $trees/sid/.stamp ]] || die "there is no tree of llama.cpp." "./dev bench llm makes it (root, once)"
    models=$(cd "$root/.." && pwd)/shared/models
    mkdir -p "$trees/sid$models"
    in_root_with "$models" "$trees/sid" llama-bench -m "$models/$2" -p 0 -n "$3" -t "$4" -r 1 -dev none -o json 2>/dev/null
    ;;
  *) die "'${1-}' is no verb of peers.sh." "peers.sh tree | torch | llama MODEL COUNT THREADS" ;;
esac
