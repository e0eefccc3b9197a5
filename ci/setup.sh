#!/bin/bash
# Installs what the project needs from the distribution, and nothing else. Safe to run again: what is there is left alone.
#
#   ci/setup.sh            to build, to run and to test
#   ci/setup.sh lint       and what ci/lint.sh reads scripts, units and playbooks with
#   ci/setup.sh images     and what the tests of the node image run it with
#   ci/setup.sh haproxy    and what fetches the HAProxy of another release
set -euo pipefail

# program → Debian/Ubuntu package
declare -A needed=(
  [haproxy]=haproxy [figlet]=figlet [tesseract]=tesseract-ocr [sha512sum]=coreutils # what nodes and functions run
  [convert]=imagemagick [xargs]=findutils
  [cc]=gcc [git]=git                                                               # to build
  [c++]=g++                                                                        # libFuzzer, for ci/fuzz.sh
  [ip]=iproute2 [ping]=iputils-ping [iperf3]=iperf3 [jq]=jq [curl]=curl            # to test and to measure
  [qemu-system-x86_64]=qemu-system-x86 [busybox]=busybox-static                    # another kernel, for ci/vm.sh
  [prometheus]=prometheus [promtool]=prometheus [prometheus-node-exporter]=prometheus-node-exporter
  [tshark]=tshark                                                                  # to read captures in tests
  [dockerd]=docker.io [docker-registry]=docker-registry                            # nodes that are containers, and where from
)
for part in "$@"; do
  case $part in
    lint) needed+=([shellcheck]=shellcheck [systemd-analyze]=systemd [ansible-playbook]=ansible-core) ;;
    images)
      needed+=([ansible-playbook]=ansible-core)
      docker compose version >/dev/null 2>&1 || needed+=([docker-compose]=docker-compose)
      ;;
    haproxy) needed+=([mmdebstrap]=mmdebstrap [patchelf]=patchelf) ;;
    *) echo "unknown part $part (see the head of $0)" >&2; exit 2 ;;
  esac
done

packages=()
for program in "${!needed[@]}"; do
  PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || packages+=("${needed[$program]}")
done
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv) # for ci/schemathesis.sh
if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing: ${packages[*]}; run this script as root, or install them yourself" >&2
    exit 3
  fi
  echo "installing ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # Some packages start a service of their own on this machine; nodes run theirs, so these would only take ports.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  for service in haproxy prometheus prometheus-node-exporter docker-registry; do
    if [[ " ${packages[*]} " == *" $service "* ]] && [ -d /run/systemd/system ]; then
      systemctl disable --now "$service" >/dev/null 2>&1 || true
    fi
  done
fi

if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
  export PATH=$HOME/.cargo/bin:$PATH
fi
if ! command -v cargo >/dev/null; then
  echo "Rust is missing: install it with rustup (https://rustup.rs), then run this script again" >&2
  exit 3
fi
