#!/bin/bash
# Speed, measured and printed, never asserted. Wall-clock times are those of whole commands, medians of RUNS runs
# (default 5) after one that does not count. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-5}

ci/setup.sh
cargo build --release --quiet --workspace --bins --examples
testbed=$PWD/target/release/dfaas-testbed
work=$(mktemp -d)
export DFAAS_TESTBED_STATE=$work/state
trap '"$testbed" down --all >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

now() { date +%s%N; }

# Median, minimum and maximum of the numbers on standard input, in milliseconds.
spread() { sort -n | awk '{ v[NR] = $1 / 1e6 } END { printf "median %8.1f ms   min %8.1f   max %8.1f   (%d runs)", v[int((NR + 1) / 2)], v[1], v[NR], NR }'; }

# Times `up` and `down` of a topology file.
up_and_down() { # LABEL FILE
  local ups=$work/ups downs=$work/downs begin middle end
  : >"$ups"
  : >"$downs"
  for run in $(seq 0 "$runs"); do
    begin=$(now)
    "$testbed" up "$2" >/dev/null 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    middle=$(now)
    "$testbed" down >/dev/null
    end=$(now)
    if [ "$run" -gt 0 ]; then
      echo $((middle - begin)) >>"$ups"
      echo $((end - middle)) >>"$downs"
    fi
  done
  printf '%-34s up    %s\n' "$1" "$(spread <"$ups")"
  printf '%-34s down  %s\n' "" "$(spread <"$downs")"
}

# COUNT hosts on one switch, a delay on every link.
star() { # COUNT
  printf 'name: bench-%s\nnodes:\n  s: { kind: switch }\n' "$1"
  for i in $(seq 1 "$1"); do printf '  h%s: { kind: host }\n' "$i"; done
  printf 'links:\n'
  for i in $(seq 1 "$1"); do printf '  - { endpoints: [h%s, s], delay: 5ms }\n' "$i"; done
}

uname -srm
printf '%s cores, %s\n\n' "$(nproc)" "$(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"

up_and_down "3 dfaas nodes, up to ready" topologies/paper-star.yaml
for count in 200 1000; do
  star "$count" >"$work/star.yaml"
  up_and_down "$count hosts, delay on every link" "$work/star.yaml"
done

printf '\nlink engine, one TCP flow, 5 ms each way, against a raw veth pair\n'
target/release/examples/throughput

printf '\nmemory and idle processor time of an agent in a federation of three\n'
"$testbed" up topologies/paper-star.yaml >/dev/null 2>&1
sleep 10
pid=$("$testbed" inspect --json | jq '.nodes[] | select(.name == "n1").services[] | select(.name == "agent").pid')
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
before=$(ticks "$pid")
sleep 20
after=$(ticks "$pid")
printf 'agent: %s KiB resident, %s %% of a core over 20 s\n' "$(awk '/VmRSS/ { print $2 }' "/proc/$pid/status")" \
  "$(awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f", t / hz / 20 * 100 }')"
"$testbed" down >/dev/null

printf '\nmessages of the overlay\n'
target/release/examples/messages

printf '\nagents on loopback addresses, everyone told of everyone, T = 5 s\n'
target/release/examples/crowd target/release/dfaas-agent 3 20
target/release/examples/crowd target/release/dfaas-agent 51 20
