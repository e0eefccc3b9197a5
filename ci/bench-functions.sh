#!/bin/bash
# Speed of the embedded platform, each figure beside its target. Those in terms of faasd are of a real faasd 0.19.0 that was
# measured on a machine like this one (2 cores, Debian 12, load generator beside it) under the same load: closed-loop
# clients on connections of their own, a POST of "OpenFaaS", 4 s. Called by ci/bench.sh; needs its release build.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${SECONDS_PER_RUN:-4}
bin=$PWD/target/release
work=$(mktemp -d)
platform=
trap '[ -z "$platform" ] || kill "$platform" 2>/dev/null || true; rm -rf "$work"' EXIT

start() { # DEPLOYMENTS, a JSON array
  echo "$1" >"$work/functions.json"
  : >"$work/log"
  "$bin/dfaas-faas" --gateway-port 0 --provider-port 0 --metrics-port 0 --deploy "$work/functions.json" 2>"$work/log" &
  platform=$!
  until gateway=$(sed -n 's/.*gateway on \([0-9.:]*\),.*/\1/p' "$work/log") && [ -n "$gateway" ]; do
    kill -0 "$platform" || { cat "$work/log" >&2; exit 1; }
    sleep 0.05
  done
}
stop() {
  kill "$platform"
  wait "$platform" || true
  platform=
}
client() { "$bin/examples/closed_loop" "$gateway" "$@"; }
row() { printf '%-10s %-98s target %s\n' "$1" "$2" "$3"; } # WHAT MEASURED TARGET

start '[{"service":"cat","image":"cat"},{"service":"shasum","image":"shasum"},{"service":"figlet","image":"figlet"}]'
grep 'without' "$work/log" || true # what this machine does not isolate or limit
# function, clients, what faasd did, target
while read -r function clients faasd target; do
  row "$function" "$(client load "/function/$function" "$clients" "$seconds" OpenFaaS)" "$target (faasd $faasd)"
done <<'END'
figlet 1 p50=9.2ms p50<=3.1ms
figlet 16 rps=346.5 rps>=1039.5
shasum 1 p50=8.7ms p50<=2.9ms
shasum 16 rps=420.9 rps>=1262.7
cat 1 p50=9.1ms p50<=3.0ms
cat 16 rps=408.5 rps>=1225.5
END
row idle "$(client idle 10000)" "10000 of 10000"
row cold "$(client cold 9)" "<= 50 ms (faasd 140 ms)"
stop

start '[{"service":"echo","image":"echo"}]'
row http "$(client load /function/echo 16 "$seconds" OpenFaaS)" "rps>=10000, of-watchdog's mode http on two cores"
stop

start "[$(seq -s, 10 | sed 's/[0-9]*/{"service":"f&","image":"figlet"}/g')]"
for number in $(seq 10); do client load "/function/f$number" 1 0 x >/dev/null; done
# The guard, which only waits, has the server as its child; the launchers are children of the server.
server=$(pgrep -P "$platform" | head -1)
resident() { awk '/VmRSS/ { print $2 }' "/proc/$1/status"; }
launchers=$(pgrep -P "$server" | while read -r pid; do awk '/^Private/ { sum += $2 } END { print sum }' "/proc/$pid/smaps_rollup"; done)
row memory "server $(resident "$server") KiB resident, guard $(resident "$platform") KiB; $(wc -l <<<"$launchers") launchers have $(awk '{ sum += $1 } END { print sum }' <<<"$launchers") KiB of their own" \
  "server <= 20480 KiB with ten functions"
stop
