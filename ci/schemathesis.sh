#!/bin/bash
# Sends what schemathesis makes of OpenFaaS' official OpenAPI file to dfaas-faas: no server error, no answer outside of
# its schema, no code that the real platform does not have. DFAAS_OPENAPI names the file (api-docs/spec.openapi.yml of
# openfaas/faas, as of 0.27.5). DFAAS_REQUIRE=openapi turns a skip into a failure. With --install it only gets schemathesis.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
  echo "skipped: $1"
  case ",${DFAAS_REQUIRE:-}," in *,openapi,*) exit 1 ;; *) exit 0 ;; esac
}

file=${DFAAS_OPENAPI:-}
[ -f "$file" ] || skip "no OpenAPI file: DFAAS_OPENAPI is ${file:-not set}"
file=$(realpath "$file")
checks=$PWD/ci/schemathesis
venv=$PWD/target/schemathesis
# One version, because another one makes other requests, and a change of ours must not fail for that.
if [ ! -x "$venv/bin/schemathesis" ]; then
  { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet schemathesis==4.32.5; } ||
    { rm -rf "$venv"; skip "schemathesis cannot be installed from PyPI"; }
fi

[ "${1:-}" != --install ] || exit 0

work=$(mktemp -d)
echo '[{"service":"figlet","image":"cat"}]' >"$work/functions.json"
target/debug/dfaas-faas --gateway-port 0 --provider-port 0 --metrics-port 0 --deploy "$work/functions.json" \
  --service-timeout 1s 2>"$work/log" & # followers of logs are let go after that time
platform=$!
trap 'kill "$platform" 2>/dev/null; wait "$platform" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do
  gateway=$(sed -n 's/.*gateway on \([0-9.:]*\),.*/\1/p' "$work/log")
  [ -n "$gateway" ] && break
  sleep 0.1
done
[ -n "${gateway:-}" ] || { cat "$work/log" >&2; exit 1; }

cd "$work" # where it leaves its notes
PYTHONPATH=$checks SCHEMATHESIS_HOOKS=checks "$venv/bin/schemathesis" run "$file" --url "http://$gateway" \
  --checks response_schema_conformance,a_code_of_the_real_platform --phases examples,coverage,fuzzing \
  --max-examples "${EXAMPLES:-3}" --seed 7 --request-timeout 30 --no-color
# Whatever it was sent, it still serves.
[ "$(curl -sS -o /dev/null -w '%{http_code}' "http://$gateway/healthz")" = 200 ]
