#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peers.sh tree | torch: PyTorch of Debian 13 in a tree of its own, as a peer of ./dev bench.
# Its fp32 is as fast as the BLAS it finds: the reference one without libopenblas0-pthread.
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
  *) die "'${1-}' is no verb of peers.sh." "peers.sh tree | torch" ;;
esac
