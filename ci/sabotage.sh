#!/bin/bash
# Whether runs know when they were disturbed: ci/sabotage.sh [SABOTAGED [CLEAN]] (20 and 30 when absent).
# Each run takes its link down and up again itself, which must not be taken for sabotage. Sabotage is, in turn: processors
# kept busy, the supervisor stopped again and again, a link changed behind its back.
# At least 95 % of the sabotaged runs must be flagged (DEGRADED or INVALID), and at most 1 in 30 clean ones (one at
# least, so that a single bad moment of the machine is no failure). A clean run that says that it was late, and nothing else, is
# not judged when a mere timer beside it was late too: a virtual machine whose processors are taken away by others disturbs runs
# itself, and they are right to say so.
set -euo pipefail
cd "$(dirname "$0")/.."
sabotaged=${1:-20}
clean=${2:-30}
testbed=${TESTBED:-$PWD/target/debug/dfaas-testbed}
work=$(mktemp -d)
export DFAAS_TESTBED_STATE=$work/state
children=()
clock=''
cleanup() {
  for child in "${children[@]}" $clock; do kill "$child" 2>/dev/null || true; done
  "$testbed" down -l sabotage >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

hogs() { # twice as many as there are processors, for four seconds
  for _ in $(seq $((2 * $(nproc)))); do timeout 4 sh -c 'while :; do :; done' & children+=($!); done
}

throttle() { # the supervisor runs a third of the time
  supervisor=$("$testbed" ls --json | jq '.[0].pid')
  ( for _ in $(seq 30); do kill -STOP "$supervisor"; sleep 0.08; kill -CONT "$supervisor"; sleep 0.04; done ) 2>/dev/null & children+=($!)
}

link() { # what `link user1--n1 set delay=8ms` does
  curl --silent --show-error --fail --unix-socket "$work/state/sabotage/control.sock" -X PATCH \
    -H 'content-type: application/json' -d '{"forward":{"delay":"8ms","jitter":null}}' http://lab/v1/links/user1--n1 >/dev/null
}

# Runs once, disturbed by the function $2 while load is on, and prints what the run says about itself.
one() {
  out=$work/run-$1
  late=0
  "$testbed" run ci/sabotage/run.yaml --out "$out" >"$out.log" 2>&1 & run=$!
  children+=("$run")
  until [ -s "$out/cells/0/0/requests.jsonl" ]; do
    kill -0 $run 2>/dev/null || { cat "$out.log" >&2; return 1; }
    sleep 0.1
  done
  "$2"
  wait $run || { cat "$out.log" >&2; return 1; }
  if [ -n "$clock" ]; then
    kill "$clock"
    wait "$clock"
    late=$(<"$out.clock")
    clock=''
  fi
  for child in "${children[@]}"; do wait "$child" 2>/dev/null || true; done
  children=()
  verdict=$(jq -r .validity "$out/summary.json")
  [ "$(jq '.cells[0].repetitions[0].sentinel.events' "$out/summary.json")" -eq 2 ] || { echo "its link did not go down and up" >&2; return 1; }
  reason=$(jq -r '.validity_reasons | map(sub("^cells/[0-9/]*: "; "")) | join("; ")' "$out/summary.json")
}

nothing() { # but a timer, for how long the run takes
  python3 ci/sabotage/clock.py >"$out.clock" & clock=$!
}
kinds=(hogs throttle link)
declare -A runs=() flagged=()
for number in $(seq $((sabotaged + clean))); do
  if [ "$number" -le "$sabotaged" ]; then kind=${kinds[$(((number - 1) % 3))]}; else kind=nothing; fi
  one "$number" "$kind"
  # More than a quarter of what a run allows.
  if [ "$late" -gt 2 ] && [[ $reason == "the link engine was late: "* && $reason != *"; "* ]]; then
    kind=machine
    reason+="; but so was a timer, $late times in a thousand"
  fi
  runs[$kind]=$((${runs[$kind]:-0} + 1))
  [ "$verdict" = valid ] || flagged[$kind]=$((${flagged[$kind]:-0} + 1))
  printf '%3d  %-8s  %-8s  %s\n' "$number" "$kind" "$verdict" "$reason"
done

echo
caught=0
for kind in "${kinds[@]}"; do
  printf '%-8s  %d of %d flagged\n' "$kind" "${flagged[$kind]:-0}" "${runs[$kind]:-0}"
  caught=$((caught + ${flagged[$kind]:-0}))
done
false_alarms=${flagged[nothing]:-0}
printf '%-8s  %d of %d flagged\n' clean "$false_alarms" "${runs[nothing]:-0}"
if [ "${runs[machine]:-0}" -gt 0 ]; then
  printf '%-8s  %d more flagged, not judged: the machine was late itself\n' machine "${runs[machine]}"
fi
allowed=$((clean / 30 > 1 ? clean / 30 : 1))
[ $((caught * 100)) -ge $((sabotaged * 95)) ] && [ "$false_alarms" -le "$allowed" ]
