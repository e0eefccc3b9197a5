#!/bin/bash
# Installs what the project needs from the distribution, and nothing else. Safe to run again: what is there is left alone.
set -euo pipefail

# program → Debian/Ubuntu package
declare -A needed=(
  [haproxy]=haproxy [figlet]=figlet [tesseract]=tesseract-ocr [sha512sum]=coreutils # what nodes and functions run
  [cc]=gcc [git]=git                                                               # to build
  [ip]=iproute2 [ping]=iputils-ping [iperf3]=iperf3 [jq]=jq [curl]=curl            # to test and to measure
  [qemu-system-x86_64]=qemu-system-x86 [busybox]=busybox-static                    # another kernel, for ci/vm.sh
)

packages=()
for program in "${!needed[@]}"; do
  PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || packages+=("${needed[$program]}")
done
if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing: ${packages[*]}; run this script as root, or install them yourself" >&2
    exit 3
  fi
  echo "installing ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  # The package starts a proxy of its own on this machine; nodes run theirs, so this one only takes ports.
  if [[ " ${packages[*]} " == *" haproxy "* ]] && [ -d /run/systemd/system ]; then
    systemctl disable --now haproxy >/dev/null 2>&1 || true
  fi
fi

if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
  export PATH=$HOME/.cargo/bin:$PATH
fi
if ! command -v cargo >/dev/null; then
  echo "Rust is missing: install it with rustup (https://rustup.rs), then run this script again" >&2
  exit 3
fi
