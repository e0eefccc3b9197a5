#!/bin/bash
# The tests that need a kernel with netem and cgroup v2, in the virtual machine of ci/vm.sh. Builds them first, on this machine.
# DFAAS_REQUIRE=vm turns "this machine cannot run it" into a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! reason=$(ci/vm.sh --fetch 2>&1); then
  case ",${DFAAS_REQUIRE:-}," in
    *,vm,*) echo "vm is required: $reason" >&2; exit 1 ;;
  esac
  echo "skipped: no virtual machine: $reason" >&2
  exit 0
fi

# The programs of the tests, as `cargo test --workspace` has built them: with fewer packages chosen, their dependencies would have
# other features and be built once more.
built=$(cargo test --quiet --workspace --no-run --message-format=json |
  jq -r 'select(.executable != null and .target.kind == ["test"]) | "\(.target.name) \(.executable)"')
program() { # target
  awk -v name="$1" '$1 == name { print $2 }' <<<"$built"
}
links=$(program privileged)
nodes=$(program node)
labs=$(program kernel_links)
limits=$(program labs)
functions=$(program isolation)

# What the kernel makes of links, measured: asked against measured for each parameter. The guest's own clock makes it independent of
# what else runs here, so it goes on beside the rest.
cargo build --quiet --workspace --bins
measured=$(mktemp)
conformance=
trap '[ -z "$conformance" ] || kill "$conformance" 2>/dev/null || true; rm -f "$measured"' EXIT
ci/vm.sh -t 900 -c target/debug/dfaas-conformance --backend tc >"$measured" 2>&1 &
conformance=$!

# What is required here is what the guest has, whatever this machine's own tests require.
export DFAAS_REQUIRE=root,netem
failed=0
ci/vm.sh -t 400 bash -c '
failed=0
run() { printf "\n-- %s\n" "$*"; "$@" || failed=1; }
run "$1" --test-threads=1 netem:: shape::
run "$2" cgroups::
run "$3" --test-threads=1
run "$4" --test-threads=1 limits_hold
run "$5" limits_of_a_function_hold
exit $failed' guest "$links" "$nodes" "$labs" "$limits" "$functions" || failed=1

wait "$conformance" || failed=1
conformance=
printf '\n-- conformance of the tc backend\n'
cat "$measured"
exit "$failed"
