#!/bin/bash
# Speed, measured and printed, never asserted. Wall-clock times are those of whole commands, medians of RUNS runs
# (default 5) after one that does not count; what is compared is run in turn. Needs root.
#
#   ci/bench.sh                everything
#   ci/bench.sh labs engine    some parts: labs, linear, mininet, engine, functions, agent, strategy
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-5}
parts=" ${*:-labs linear mininet engine functions agent strategy} "

ci/setup.sh
cargo build --release --quiet --bins --examples
testbed=$PWD/target/release/dfaas-testbed
work=$(mktemp -d)
export DFAAS_TESTBED_STATE=$work/state
trap '"$testbed" down --all >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

wanted() { [[ $parts == *" $1 "* ]]; }
now() { date +%s%N; }

# Median of the numbers on standard input.
median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# Median, minimum and maximum of the nanoseconds on standard input, in milliseconds.
spread() { sort -g | awk '{ v[NR] = $1 / 1e6 } END { printf "median %8.1f ms   min %8.1f   max %8.1f   (%d runs)", v[int((NR + 1) / 2)], v[1], v[NR], NR }'; }

# For a while after a network is gone the kernel gives back its memory, at the expense of the next one.
settle() { sleep 3; }

# Times `up` and `down` of a topology file RUNS times, after one that does not count; `between` runs while the lab does.
between() { :; }
up_and_down() { # LABEL FILE
  local ups=$work/ups networks=$work/networks downs=$work/downs begin middle end
  : >"$ups"
  : >"$networks"
  : >"$downs"
  for run in $(seq 0 "$runs"); do
    settle
    begin=$(now)
    "$testbed" up "$2" >/dev/null 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    middle=$(now)
    [ "$run" -gt 0 ] || between
    end=$(now)
    "$testbed" down >/dev/null
    if [ "$run" -gt 0 ]; then
      echo $((middle - begin)) >>"$ups"
      # As `up` says it: "✔ network  202 namespaces, 200 links (wire: 200)  0.3 s".
      sed -n 's/.* network .* \([0-9.]*\) \(m\{0,1\}s\)$/\1 \2/p' "$work/log" |
        awk '{ printf "%.0f\n", $1 * ($2 == "s" ? 1e9 : 1e6) }' >>"$networks"
      echo $(($(now) - end)) >>"$downs"
    fi
  done
  printf '%-34s up    %s\n' "$1" "$(spread <"$ups")"
  printf '%-34s   network: %s\n' "" "$(spread <"$networks")"
  printf '%-34s down  %s\n' "" "$(spread <"$downs")"
}

# COUNT hosts on switches of at most 1000 ports, a delay on every link.
star() { # COUNT
  printf 'name: bench-%s\nnodes:\n' "$1"
  for s in $(seq 0 $((($1 - 1) / 1000))); do printf '  s%s: { kind: switch }\n' "$s"; done
  for i in $(seq 1 "$1"); do printf '  h%s: { kind: host }\n' "$i"; done
  printf 'links:\n'
  for i in $(seq 1 "$1"); do printf '  - { endpoints: [h%s, s%s], delay: 5ms }\n' "$i" $(((i - 1) / 1000)); done
}

# A value of the running supervisor's /proc/PID/status.
supervisor() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$("$testbed" ls --json | jq '.[0].pid')/status"; }

uname -srm
printf '%s cores, %s, load %s\n' "$(nproc)" "$(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" "$(cut -d' ' -f1-3 /proc/loadavg)"

if wanted labs; then
  printf '\nwhole commands (targets: 3 nodes 5 s, 50 nodes 60 s up to ready; networks of 200 hosts 0.3 s up and 0.2 s down, of 1000\n2 s and 1 s)\n'
  up_and_down "3 dfaas nodes, up to ready" topologies/paper-star.yaml
  printf 'name: bench-full\ndefaults: { dfaas: { functions: { figlet: { maxrate: 10 } } } }\ngenerate: { shape: star, count: 50, kind: dfaas, link: { delay: 5ms } }\n' >"$work/full.yaml"
  runs=1 up_and_down "50 dfaas nodes, up to ready" "$work/full.yaml"
  for count in 200 1000; do
    star "$count" >"$work/star.yaml"
    up_and_down "$count hosts, delay on every link" "$work/star.yaml"
  done
fi

if wanted linear; then
  printf '\nhow cost grows with the number of hosts (the supervisor once all are up; targets: as long per host, 100 KiB per host, as many\nthreads)\n'
  smallest=
  between() { printf '%-34s supervisor: %s KiB resident, %s threads\n' "" "$(supervisor VmRSS)" "$(supervisor Threads)"; supervisor VmRSS >"$work/resident"; }
  for count in 100 500 2000; do
    star "$count" >"$work/star.yaml"
    up_and_down "$count hosts" "$work/star.yaml"
    printf '%-34s %s ms of up per host\n' "" "$(median <"$work/ups" | awk -v n="$count" '{ printf "%.2f", $1 / 1e6 / n }')"
    if [ -z "$smallest" ]; then
      smallest=$count first=$(cat "$work/resident")
    else
      printf '%-34s %s KiB per host beyond the first %s\n' "" $((($(cat "$work/resident") - first) / (count - smallest))) "$smallest"
    fi
  done
  between() { :; }
fi

if wanted mininet; then
  printf '\nthe same star of 200 in Mininet (Linux bridge, no impairment; no target but to be faster)\n'
  # Its switch of Linux bridges calls brctl; it belongs to the distribution's own Python, whichever is first in PATH.
  command -v mn >/dev/null && command -v brctl >/dev/null || { [ "$(id -u)" -eq 0 ] && apt-get install -y -qq mininet bridge-utils >/dev/null 2>&1; } || true
  if command -v mn >/dev/null && command -v brctl >/dev/null; then
    cat >"$work/star.py" <<'EOF'
import time
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo

begin = time.time()
net = Mininet(SingleSwitchTopo(k=200), switch=LinuxBridge, controller=None)
net.start()
middle = time.time()
net.stop()
print("up %.1f ms   down %.1f ms" % ((middle - begin) * 1e3, (time.time() - middle) * 1e3))
EOF
    for _ in 1 2 3; do
      star 200 >"$work/star.yaml"
      runs=1 up_and_down "ours" "$work/star.yaml"
      settle
      printf '%-34s %s\n' "Mininet $(mn --version 2>&1)" "$(/usr/bin/python3 "$work/star.py" 2>"$work/log" || tail -1 "$work/log")"
    done
  else
    echo "skipped: not installed (apt install mininet bridge-utils)"
  fi
fi

if wanted engine; then
  printf '\nlink engine, one TCP flow, 5 ms each way, against a raw veth pair (in turn; targets: 70 %% of it, 55 %% under SCHED_FIFO)\n'
  target/release/examples/throughput tcp
  if command -v setpriv >/dev/null; then
    echo "without SCHED_FIFO:"
    setpriv --bounding-set -sys_nice --inh-caps -sys_nice target/release/examples/throughput tcp
  fi
  printf '\nlink engine, everything else (targets: delay 0.1 ms off in the mean, 0.5 ms at p99, idle, all processors busy and at 2 Gbit/s;\n200 links: 40 %% of a core at 50 packets/s, 1 ms late at p99 with 1 Mbit/s and 20 ms each; rate 1 %% off from 1 Mbit/s to 1 Gbit/s)\n'
  target/release/examples/throughput delay links rate flood cycle
fi

if wanted functions; then
  printf '\nfunctions of the embedded platform\n'
  ci/bench-functions.sh
fi

if wanted agent; then
  printf '\nmemory and idle processor time of an agent in a federation of three (targets: 15360 KiB, 1 %%)\n'
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
  printf '\nmessages of the overlay (target: written and read in 50 µs together, 3 peers of 3 functions)\n'
  target/release/examples/messages

  printf '\nagents started at once on loopback addresses, everyone told of everyone (targets with 50 peers: full tables within 10 s,\n15360 KiB resident, 1 %% of a core); the period is 1m unless a user sets another one\n'
  target/release/examples/crowd target/release/dfaas-agent 3 20 5s
  target/release/examples/crowd target/release/dfaas-agent 51 60 1m
  target/release/examples/crowd target/release/dfaas-agent 51 20 5s
fi

if wanted strategy; then
  printf '\none step of a strategy (target: 1 ms for both steps)\n'
  target/release/examples/recalc_step

  printf '\nlatency added by HAProxy with the configuration of the agent (target: 0.3 ms at p50)\n'
  PATH=$PATH:/usr/sbin target/release/examples/added_latency
fi
