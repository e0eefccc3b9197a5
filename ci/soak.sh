#!/bin/bash
# The long versions of what ci/test.sh runs at a small size: the paper's own period of one minute, and many lives of a lab.
set -euo pipefail
cd "$(dirname "$0")/.."

ci/setup.sh
cargo build --release --quiet --workspace --bins
testbed=$PWD/target/release/dfaas-testbed

for scenario in scenarios/paper/*.yaml; do
  "$testbed" run "$scenario" --set T=60s
done

TESTBED=$testbed ci/sabotage.sh

echo "200 lives of a federation, every other one ended by SIGKILL"
for life in $(seq 1 200); do
  "$testbed" up topologies/paper-star.yaml >/dev/null 2>&1
  if [ $((life % 2)) -eq 0 ]; then
    kill -9 "$("$testbed" ls --json | jq '.[0].pid')"
  fi
  "$testbed" down >/dev/null
done
[ "$("$testbed" ls --json | jq length)" -eq 0 ]
echo "nothing left"
