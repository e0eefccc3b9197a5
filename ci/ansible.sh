#!/bin/bash
# Runs the playbook of ci/ansible in a container of this machine's own packages, over a local connection and without a network:
# it installs a node, what its units say is started under dfaas-init, a function answers through HAProxy, and a second run
# changes nothing. Needs root, Docker, `ci/setup.sh images`, and programs (PROFILE=debug: those of target/debug).
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${PROFILE:-release}
packages=(haproxy figlet tesseract-ocr imagemagick ansible-core python3-apt curl)
# Another list is another image.
base=dfaas-testbed-tests/ansible-base:$(cksum <<<"${packages[*]}" | cut -d' ' -f1)

ci/docker.sh
[ "$profile" = debug ] || cargo build --release --quiet --bins
if ! docker image inspect "$base" >/dev/null 2>&1; then
  echo "making a base image of ${packages[*]}"
  ci/base-image.sh "${packages[@]}" | docker import - "$base" >/dev/null
fi

work=$(mktemp -d)
container=dfaas-ansible-$$
trap 'docker rm --force "$container" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
printf 'dfaas_nodes: { hosts: { node: { ansible_connection: local } } }\n' >"$work/inventory.yml"
mkdir "$work/programs"
for program in dfaas-agent dfaas-faas dfaas-init; do
  strip -o "$work/programs/$program" "target/$profile/$program"
done
# What the platform `faasd` would get from elsewhere: it is installed from these and never started.
mkdir "$work/artefacts"
printf '#!/bin/sh\necho "version: 0.19.0"\n' >"$work/artefacts/faasd"
echo 'services: {}' >"$work/artefacts/docker-compose.yaml"

# Process 1 waits for services, then it is what lite nodes have as process 1.
docker run --detach --name "$container" --network none --env LC_ALL=C.UTF-8 \
  --volume "$PWD:/project:ro" --volume "$work:/work:ro" "$base" \
  sh -c 'until [ -s /run/services.json ]; do sleep 0.1; done; exec /work/programs/dfaas-init /run/services.json' >/dev/null
inside() { docker exec "$container" "$@"; }

# Prints what Ansible counted: "ok=12 changed=3 …".
play() { # VARIABLES…
  inside ansible-playbook --inventory /work/inventory.yml /project/ci/ansible/site.yml \
    --extra-vars '{"dfaas_programs": "/work/programs", "dfaas_artefacts": "/work/artefacts"}' "$@" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; return 1; }
  sed -n 's/^node *: //p' "$work/log"
}
unchanged() { # COUNTS
  grep -q 'changed=0 ' <<<"$1" || { cat "$work/log" >&2; echo "a second run of the playbook changes something" >&2; exit 1; }
}

echo "installing a node"
counts=$(play)
echo "installed:    $counts"
inside sh -c 'python3 /project/ci/ansible/tests/units.py haproxy.service dfaas-faas.service dfaas-agent.service >/run/services.new &&
  mv /run/services.new /run/services.json'
for _ in $(seq 100); do
  answer=$(inside curl -sS --max-time 2 --data DFaaS http://127.0.0.1/function/figlet 2>/dev/null) || answer=
  [ "$answer" != "$(figlet DFaaS)" ] || break
  sleep 0.2
done
[ "$answer" = "$(figlet DFaaS)" ] || { docker logs --tail 40 "$container" >&2; echo "figlet does not answer through HAProxy: $answer" >&2; exit 1; }
echo "figlet answers through HAProxy"
counts=$(play)
echo "once more:    $counts"
unchanged "$counts"

counts=$(play --extra-vars '{"dfaas_agent": {"AGENT_STRATEGY": "staticstrategy"}}')
echo "one setting:  $counts"
grep -q 'changed=1 ' <<<"$counts" || { cat "$work/log" >&2; echo "a changed setting of the agent changes other things, or none" >&2; exit 1; }

# faasd itself is not here, nor are the packages it needs.
inside install -D /bin/true /usr/lib/cni/bridge
faasd=(--extra-vars '{"dfaas_platform": "faasd", "dfaas_packages_of": {"faasd": ["haproxy"]}}')
counts=$(play "${faasd[@]}")
echo "with faasd:   $counts"
counts=$(play "${faasd[@]}")
echo "once more:    $counts"
unchanged "$counts"

refuses() { # WORDS VARIABLES…
  if play "${@:2}" >/dev/null 2>&1 || ! grep -q "$1" "$work/log"; then
    cat "$work/log" >&2
    echo "not refused with the words: $1" >&2
    exit 1
  fi
}
refuses 'value of dfaas_platform must be one of' --extra-vars dfaas_platform=openwhisk
sed -i 's/0.19.0/0.20.0/' "$work/artefacts/faasd"
refuses 'not release 0.19.0' "${faasd[@]}"
echo "unknown platforms and other releases of faasd are refused"
