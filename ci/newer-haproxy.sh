#!/bin/bash
# The agent with a newer HAProxy than this machine's: that of the next release of Debian, which its tests and two scenarios find
# in place of the one installed. Nobody else does: it is mounted where only they see it. Needs root and Debian.
#
#   ci/newer-haproxy.sh [RELEASE]     default trixie
set -euo pipefail
cd "$(dirname "$0")/.."
release=${1:-trixie}

ci/setup.sh haproxy
work=$(mktemp -d -p /opt) # nodes have a /tmp of their own
trap 'rm -rf "$work"' EXIT
mmdebstrap --quiet --variant=extract --include=haproxy "$release" "$work/root"
# With its own C library, which is newer than this machine's as well; HAProxy starts itself anew at each reload, so it has to know.
libraries=$work/root/usr/lib/$(uname -m)-linux-gnu
loader=$(find "$libraries" -maxdepth 1 -name 'ld-linux*.so.*' | head -1)
newer=$work/root/usr/sbin/haproxy
patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$newer"
chmod 0755 "$work" # whoever HAProxy runs as reads them

cargo build --quiet --workspace --bins
# shellcheck disable=SC2016 # the inner shell expands them
unshare --mount sh -euc '
  mount --bind "$1" /usr/sbin/haproxy
  /usr/sbin/haproxy -v | head -1
  export DFAAS_REQUIRE=root,haproxy
  cargo test --quiet --workspace --lib haproxy_accepts_every_variant | grep -B1 "^test result: ok. 1 passed"
  cargo test --quiet --workspace --test with_haproxy
  for scenario in scenarios/paper/limit-in-enforced.yaml scenarios/ci/malicious-node.yaml; do
    target/debug/dfaas-testbed run "$scenario" --out "$2/$(basename "$scenario" .yaml)"
  done
' sh "$newer" "$work"
