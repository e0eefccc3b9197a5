#!/bin/bash
# Crates mark rules; these are the ones the compiler alone does not keep.
set -euo pipefail
cd "$(dirname "$0")/.."

forbid() { # CRATE PACKAGE...: CRATE must not depend on PACKAGE, not even through others
  local crate=$1
  shift
  local tree
  tree=$(cargo tree --quiet -p "$crate" --edges normal --prefix none --format '{p}' | awk '{print $1}' | sort -u)
  for package in "$@"; do
    if grep -qx "$package" <<<"$tree"; then
      echo "$crate must not know $package" >&2
      exit 1
    fi
  done
}

forbid dfaas-agent-api tokio nix libp2p
forbid dfaas-model tokio nix rtnetlink dfaas-agent
forbid dfaas-wire rtnetlink netlink-packet-route serde-saphyr tokio
forbid dfaas-process rtnetlink netlink-packet-route serde-saphyr tokio
forbid dfaas-docker rtnetlink netlink-packet-route serde-saphyr dfaas-model dfaas-netns
forbid dfaas-netns serde-saphyr dfaas-model
forbid dfaas-experiment dfaas-netns dfaas-wire dfaas-lab rtnetlink
forbid dfaas-report tokio dfaas-lab dfaas-netns nix
forbid dfaas-agent dfaas-model dfaas-lab dfaas-netns dfaas-process
forbid dfaas-faas dfaas-model dfaas-lab dfaas-netns

# One file names the YAML engine in the model; the faas crate reads its image manifests.
if grep -rln 'serde_yaml' testbed/crates/model/src | grep -v 'src/yaml.rs$'; then
  echo "only model/src/yaml.rs may name the YAML crate" >&2
  exit 1
fi
# The product starts no network tools.
if grep -rnE 'Command::new\("(ip|tc|nft|iptables|nsenter)"\)' --include='*.rs' agent/src testbed/src testbed/crates/*/src; then
  echo "the product must not start network tools" >&2
  exit 1
fi
