#!/bin/bash
# A Docker engine with the image of the tests: starts the distribution's engine where none answers, and makes the image here,
# because a test must not depend on a registry. Safe to run again. Needs root, and what ci/setup.sh installs.
# Exit code 3: this machine has no engine and cannot start one.
set -euo pipefail

socket=/var/run/docker.sock
log=/var/log/dfaas-dockerd.log

answers() { curl -fsS --max-time 5 --unix-socket "$socket" http://localhost/_ping >/dev/null 2>&1; }

start() {
  PATH=$PATH:/usr/sbin:/sbin
  command -v dockerd >/dev/null || { echo "there is no Docker engine: run ci/setup.sh" >&2; exit 3; }
  if [ -d /run/systemd/system ]; then
    systemctl start docker
    return
  fi
  # Without a network of its own: labs make theirs, and the machine's firewall is left alone. It outlives this script, as a
  # service would; its number is in /var/run/docker.pid.
  setsid dockerd --bridge=none --iptables=false --ip6tables=false >"$log" 2>&1 </dev/null &
}

if ! answers; then
  start
  for _ in $(seq 150); do
    if answers; then break; fi
    sleep 0.2
  done
  answers || { tail -5 "$log" >&2; echo "the Docker engine does not answer" >&2; exit 3; }
fi

# Asked without the command line client, which a distribution may package apart.
has() { curl -fsS --unix-socket "$socket" "http://localhost/images/$1/json" >/dev/null 2>&1; }
import() { # NAME TAG < TAR
  curl -fsS --unix-socket "$socket" -H 'Content-Type: application/x-tar' --data-binary @- \
    "http://localhost/images/create?fromSrc=-&repo=$1&tag=$2" >/dev/null
}

if ! has dfaas-testbed-tests/busybox:1; then
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  mkdir -p "$root/bin" "$root/tmp" "$root/etc"
  cp "$(command -v busybox)" "$root/bin/busybox"
  for name in cat echo grep hostname httpd ip kill mount ping sh sleep tail test touch wc wget; do
    ln -s busybox "$root/bin/$name"
  done
  tar -C "$root" -c . | import dfaas-testbed-tests/busybox 1
fi
