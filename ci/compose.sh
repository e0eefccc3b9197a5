#!/bin/bash
# Three lite nodes as images/node/docker-compose.yml has them: a function on each of ports 8081 to 8083, and more load on the
# first than it takes, which goes to the others. Needs root, Docker, and `ci/setup.sh images`.
#
#   PROFILE=debug   programs of target/debug instead of target/release
set -euo pipefail
cd "$(dirname "$0")/.."

ci/docker.sh
BASE=made ci/node-image.sh >/dev/null
compose=(docker-compose)
if docker compose version >/dev/null 2>&1; then compose=(docker compose); fi

work=$(mktemp -d)
echo '[{"service": "figlet", "image": "figlet", "labels": {"dfaas.maxrate": "10"}}]' >"$work/functions.json"
cat >"$work/functions.yml" <<YAML
x-functions: &functions { volumes: ["$work/functions.json:/etc/dfaas/faas/functions.json:ro"] }
services: { node-1: *functions, node-2: *functions, node-3: *functions }
YAML
compose+=(--project-name "dfaas-compose-$$" --file images/node/docker-compose.yml --file "$work/functions.yml")
trap '"${compose[@]}" down --timeout 10 >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
AGENT_RECALC_PERIOD=2s "${compose[@]}" up --detach >"$work/up" 2>&1 || { cat "$work/up" >&2; exit 1; }

expected=$(figlet DFaaS)
for port in 8081 8082 8083; do
  for _ in $(seq 150); do
    answer=$(curl -sS --max-time 2 --data DFaaS "http://127.0.0.1:$port/function/figlet" 2>&1) || true
    [ "$answer" != "$expected" ] || break
    sleep 0.2
  done
  [ "$answer" = "$expected" ] || { "${compose[@]}" logs --tail 20 >&2; echo "figlet on port $port: $answer" >&2; exit 1; }
  echo "figlet on port $port: 200"
done

# Which node has served each of 400 requests, 40 in a second.
curl -s --max-time 30 --rate 40/s --data DFaaS --output /dev/null --write-out '%{http_code} %header{x-server}\n' \
  'http://127.0.0.1:8081/function/figlet?[1-400]' | sort | uniq -c >"$work/served"
cat "$work/served"
unserved() { # ADDRESS
  "${compose[@]}" logs --tail 40 >&2
  echo "nothing was served by $1" >&2
  # A Docker engine that keeps rules leaves this one behind; the engine of the tests keeps none, and so makes no exceptions.
  if iptables -S FORWARD 2>/dev/null | grep -q '^-P FORWARD DROP'; then
    echo "this machine drops what is forwarded between containers: iptables -P FORWARD ACCEPT" >&2
  fi
  exit 1
}
for address in 172.16.238.10 172.16.238.11 172.16.238.12; do
  grep -q " 200 $address$" "$work/served" || unserved "$address"
done
"${compose[@]}" down --timeout 10 >/dev/null 2>&1
[ -z "$(docker ps --all --quiet --filter "label=com.docker.compose.project=dfaas-compose-$$")" ]
echo "gone"
