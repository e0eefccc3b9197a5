#!/bin/bash
# What needs a kernel with netem and cgroup v2, in the virtual machine of ci/vm.sh. Builds it first, on this machine.
#
#   ci/guest.sh [tests] [conformance] [privileged]   the first two if none is named
#
# `privileged` starts a Docker engine in there, which takes minutes: privileged containers need capabilities that machines of CI
# often lack.
#
# DFAAS_REQUIRE=vm turns "this machine cannot run it" into a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
parts=" ${*:-tests conformance} "
wanted() { [[ $parts == *" $1 "* ]]; }

if ! reason=$(ci/vm.sh --fetch 2>&1); then
  case ",${DFAAS_REQUIRE:-}," in
    *,vm,*) echo "vm is required: $reason" >&2; exit 1 ;;
  esac
  echo "skipped: no virtual machine: $reason" >&2
  exit 0
fi

failed=0

# What the kernel makes of links, measured: asked against measured for each parameter. The guest's own clock makes it independent of
# what else runs here.
if wanted conformance; then
  cargo build --quiet --workspace --bins
  printf '\n-- conformance of the tc backend\n'
  ci/vm.sh -t 900 -c target/debug/dfaas-conformance --backend tc || failed=1
fi

if wanted tests || wanted privileged; then
  # The programs of the tests, as ci/test.sh has built them: with fewer packages chosen, their dependencies would have
  # other features and be built once more.
  built=$(cargo test --quiet --workspace --tests --no-run --message-format=json |
    jq -r 'select(.executable != null and .target.kind == ["test"]) | "\(.target.name) \(.executable)"')
  program() { # target
    awk -v name="$1" '$1 == name { print $2 }' <<<"$built"
  }
fi

if wanted tests; then
  # What is required here is what the guest has, whatever this machine's own tests require.
  export DFAAS_REQUIRE=root,netem
  # shellcheck disable=SC2016 # the guest's shell expands it
  ci/vm.sh -t 400 bash -c '
failed=0
run() { printf "\n-- %s\n" "$*"; "$@" || failed=1; }
run "$1" --test-threads=1 netem:: shape::
run "$2" cgroups::
run "$3" --test-threads=1
run "$4" --test-threads=1 limits_hold
run "$5" limits_of_a_function_hold
exit $failed' guest "$(program privileged)" "$(program node)" "$(program kernel_links)" "$(program labs)" "$(program isolation)" || failed=1
fi

if wanted privileged; then
  # Where the engine keeps things is read-only there.
  # shellcheck disable=SC2016 # the guest's shell expands it
  DFAAS_REQUIRE=root,docker,privileged ci/vm.sh -t 600 bash -c '
set -e
for directory in /var/lib/docker /var/log; do mount -t tmpfs tmpfs "$directory"; done
ci/docker.sh
exec "$1" a_missing_runtime' guest "$(program containers)" || failed=1
fi

exit "$failed"
