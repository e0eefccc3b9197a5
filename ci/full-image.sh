#!/bin/bash
# Builds dfaas-node:full and tries it under sysbox-runc. For a machine with a network, Docker and Sysbox; what it needs
# from elsewhere lies in ARTEFACTS (default: artefacts/), see images/node/artefacts.sha256.
#
# What it must print, after the build:
#   node is healthy
#   provider faasd 0.19.0
#   figlet through HAProxy: 200
#   journal: faasd, dfaas-agent
set -euo pipefail
cd "$(dirname "$0")/.."
artefacts=${ARTEFACTS:-artefacts}
runtime=${RUNTIME:-sysbox-runc}

for file in faasd docker-compose.yaml; do
  [ -f "$artefacts/$file" ] || { echo "$artefacts/$file is missing; see images/node/artefacts.sha256" >&2; exit 3; }
done
if ! docker info --format '{{json .Runtimes}}' | grep -q "\"$runtime\""; then
  echo "Docker has no runtime $runtime: install Sysbox (https://github.com/nestybox/sysbox), or RUNTIME=runc for a privileged container" >&2
  exit 3
fi

cargo build --release --quiet -p dfaas-agent --bins
context=$(mktemp -d)
name=dfaas-node-full-$$
trap 'docker rm --force --volumes "$name" >/dev/null 2>&1 || true; rm -rf "$context"' EXIT
mkdir "$context/programs"
cp target/release/dfaas-agent "$context/programs/"
cp -r images/node "$context/node"
cp -r "$artefacts" "$context/artefacts"
docker build --target full --tag dfaas-node:full ${FULL_BASE:+--build-arg "FULL_BASE=$FULL_BASE"} \
  --file "$context/node/Dockerfile" "$context"

privileges=()
if [ "$runtime" = runc ]; then privileges=(--privileged --cgroupns=private --tmpfs /run --tmpfs /tmp); fi
docker run --detach --name "$name" --runtime "$runtime" "${privileges[@]}" dfaas-node:full >/dev/null
for _ in $(seq 120); do
  health=$(docker inspect --format '{{.State.Health.Status}}' "$name")
  if [ "$health" = healthy ]; then break; fi
  sleep 2
done
[ "$health" = healthy ] || { docker logs --tail 50 "$name" >&2; echo "the node is $health" >&2; exit 1; }
echo "node is healthy"
inside() { docker exec "$name" "$@"; }
password=$(inside cat /var/lib/faasd/secrets/basic-auth-password)
inside curl -fsS --user "admin:$password" http://127.0.0.1:8080/system/info |
  python3 -c 'import json, sys; it = json.load(sys.stdin)["provider"]; print("provider", it["provider"], it["version"]["release"])'
code=$(inside curl -sS -o /dev/null -w '%{http_code}' -d 'Hello' http://127.0.0.1/function/figlet)
echo "figlet through HAProxy: $code"
[ "$code" = 200 ]
for unit in faasd dfaas-agent; do
  inside journalctl --unit "$unit" --no-pager --quiet --lines 1 | grep -q . || { echo "$unit has logged nothing" >&2; exit 1; }
done
echo "journal: faasd, dfaas-agent"
