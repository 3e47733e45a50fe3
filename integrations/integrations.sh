#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# integrations.sh build|test|run FRAMEWORK [ARGUMENTS]: the parts behind ./dev integrations. FRAMEWORK is a folder beside this file, with a script tests.sh.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

verb=${1-} framework=${2-}
known=$(cd "$root/integrations" && printf '%s ' */tests.sh)
[[ -f $root/integrations/$framework/tests.sh ]] ||
  die "'$framework' is no framework." "./dev integrations $verb NAME, with one of: ${known//\/tests.sh/}"
shift 2

# shellcheck source=/dev/null
source "$root/integrations/$framework/tests.sh"
case $verb in
  tree) make_framework_tree ;;
  test) run_framework_tests "$@" ;;
  run) in_framework "$@" ;;
  *) die "'$verb' is no verb of integrations." "./dev integrations build|test|run FRAMEWORK" ;;
esac
