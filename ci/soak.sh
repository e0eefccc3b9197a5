#!/bin/bash
# The long versions of what ci/test.sh runs at a small size: the paper's own period of one minute, and many lives of a lab. Then
# the agent with a newer HAProxy, and the node image with the tools of its users.
#
#   LIVES=500     lives of a federation, every other one ended by SIGKILL
#   MOMENTS=200   supervisors killed at random moments while they start
#   SCENARIOS=1   0 leaves the long scenarios out
#   FUZZ=600      seconds for each fuzz target; 0 leaves them out
set -euo pipefail
cd "$(dirname "$0")/.."
lives=${LIVES:-500}
moments=${MOMENTS:-200}

ci/setup.sh
cargo build --release --quiet --bins
testbed=$PWD/target/release/dfaas-testbed

if [ "${SCENARIOS:-1}" -ne 0 ]; then
  for scenario in scenarios/paper/*.yaml; do
    "$testbed" run "$scenario" --set T=60s
  done
fi

TESTBED=$testbed ci/sabotage.sh

ci/newer-haproxy.sh
ci/images.sh
ci/guest.sh privileged

if [ "${FUZZ:-600}" -ne 0 ]; then
  ci/fuzz.sh "${FUZZ:-600}"
fi

# What the kernel holds: namespaces, unreclaimable memory in KiB, open files.
held() {
  printf 'net namespaces %s   slab %s KiB   open files %s' "$(awk '$1 == "net_namespace" { print $2 }' /proc/slabinfo)" \
    "$(awk '$1 == "SUnreclaim:" { print $2 }' /proc/meminfo)" "$(cut -f1 /proc/sys/fs/file-nr)"
}

echo "$lives lives of a federation, every other one ended by SIGKILL"
for life in $(seq 1 "$lives"); do
  "$testbed" up topologies/paper-star.yaml >/dev/null 2>&1
  if [ $((life % 2)) -eq 0 ]; then
    kill -9 "$("$testbed" ls --json | jq '.[0].pid')"
  fi
  "$testbed" down >/dev/null
  # The first lives fill caches.
  if [ "$life" -eq 10 ]; then
    sleep 2
    before=$(held)
    namespaces=$(awk '$1 == "net_namespace" { print $2 }' /proc/slabinfo)
  fi
  [ $((life % 50)) -ne 0 ] || printf 'life %4d   %s\n' "$life" "$(held)"
done
[ "$("$testbed" ls --json | jq length)" -eq 0 ]
if [ "$lives" -gt 10 ]; then
  sleep 5
  printf 'after 10    %s\nafter %-5s %s\n' "$before" "$lives" "$(held)"
  grown=$(($(awk '$1 == "net_namespace" { print $2 }' /proc/slabinfo) - namespaces))
  if [ "$grown" -ge $((lives - 10)) ]; then
    echo "a namespace or more is kept by every life: $grown more than after the first ten" >&2
    exit 1
  fi
fi

echo "$moments supervisors killed at random moments"
cargo build --quiet --workspace --bins
DFAAS_TEST_MOMENTS=$moments cargo test --quiet --workspace --test leaks a_supervisor_may_die_at_any_moment
echo "nothing left"
