#!/bin/bash
# Every test, privileged ones included. Needs root for those; without root they say that they are skipped. Lints are in ci/lint.sh.
# DFAAS_REQUIRE=root,haproxy,programs,go,vm,prometheus,openapi,docker,registry turns a skip into a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS

step() { printf '\n== %s (%d s)\n' "$1" "$((SECONDS - started))"; }

# What may be done ahead, beside something else, is begun early. What is wrong with it is said when it is needed.
if command -v cargo >/dev/null && command -v cc >/dev/null; then
  cargo build --quiet --workspace --bins >/dev/null 2>&1 & # installing hardly needs the processors
fi

step "what the distribution has to offer"
ci/setup.sh

if command -v go >/dev/null; then
  # The tests of the overlay build it themselves; cargo needs one core only for some of its time.
  (cd ci/interop && go build -o /dev/null .) &
fi

ci/schemathesis.sh --install &
ci/vm.sh --fetch >/dev/null 2>&1 &

step "format and boundaries" # lints and documentation: ci/lint.sh
cargo fmt --all --check
ci/boundaries.sh

if [ "$(id -u)" -eq 0 ]; then
  step "a container engine"
  ci/docker.sh || echo "skipped: tests of containers need a Docker engine" >&2
fi

step "programs"
cargo build --quiet --workspace --bins
if docker version >/dev/null 2>&1; then
  # Its base is made of this machine's own packages.
  # One that is left from another run would be tested in its place.
  PROFILE=debug BASE=made ci/node-image.sh >/dev/null || { echo "FAILED: the node image was not made" >&2; exit 1; }
fi

step "tests"
results=$(mktemp)
group='' beside='' requests='' conformance='' # process groups of their own, to be ended as one
trap 'for group in $beside $requests $conformance; do kill -- "-$group" 2>/dev/null || true; done; rm -rf "$results"*' EXIT
broken=0
run_tests() { cargo test --workspace "$@" 2>&1 | tee -a "$results" || broken=1; }
cargo test --quiet --workspace --tests --no-run # examples are built by ci/lint.sh and ci/bench.sh
# Agents with HAProxy and those of other makes mostly wait for each other, and nobody else has their addresses; requests made from
# the OpenAPI file do not care what else runs. So they do it beside all the others.
setsid ci/schemathesis.sh >"$results.requests" 2>&1 &
requests=$!
setsid cargo test --workspace --no-fail-fast --test with_haproxy --test interop >"$results.beside" 2>&1 &
beside=$!
mapfile -t others < <(cargo metadata --no-deps --format-version 1 |
  jq -r '[.packages[].targets[] | select(.kind == ["test"]).name] | unique - ["with_haproxy", "interop"] | .[] | "--test", .')
run_tests --no-fail-fast --lib --bins "${others[@]}"
run_tests --no-fail-fast --doc
wait "$beside" || broken=1
beside=''
tee -a "$results" <"$results.beside"

step "another kernel"
guest=0
ci/guest.sh tests 2>&1 | tee -a "$results" || guest=1

# Its clock does not care what else runs here, and what else runs hardly notices it; it is asked for at the end.
setsid nice -n 19 ci/guest.sh conformance >"$results.guest" 2>&1 &
conformance=$!

if [ "$(id -u)" -eq 0 ]; then
  step "labs of an ordinary user"
  export DFAAS_TEST_USER=65534
  # One at a time: the engine of an ordinary user has no precedence over other processes. The whole workspace is named, because
  # with fewer packages their dependencies would have other features and be built once more.
  run_tests --test labs --test leaks -- --test-threads=1 --skip a_supervisor_may_die --skip thirty_lives
  run_tests --test federation -- --test-threads=1 a_federation_serves published_ports a_scenario_passes
  unset DFAAS_TEST_USER
  rm -rf "${TMPDIR:-/tmp}"/dfaas-test-programs-* # copies for that user, which outlive the tests
fi

step "requests made from the OpenAPI file"
openapi=0
wait "$requests" || openapi=1
requests=''
cat "$results.requests"

step "scenarios"
passed=$(awk '/^test result:/ { sum += $4 } END { print sum + 0 }' "$results")
failed=$(awk '/^test result:/ { sum += $6 } END { print sum + 0 }' "$results")
if [ "$failed" -eq 0 ]; then failed=$broken; fi # what was not even built has no failed test
failed=$((failed + guest + openapi))
if [ "$(id -u)" -eq 0 ]; then
  runs=$results.runs
  mkdir "$runs"
  for scenario in scenarios/paper/*.yaml scenarios/ci/*.yaml; do
    name=$(basename "$scenario" .yaml)
    if target/debug/dfaas-testbed run "$scenario" --out "$runs/$name"; then
      passed=$((passed + 1))
    else
      echo "FAILED: $scenario" >&2
      failed=$((failed + 1))
    fi
  done
else
  echo "skipped: scenarios need root"
  case ",${DFAAS_REQUIRE:-}," in *,root,*) failed=$((failed + 1)) ;; esac
fi

step "a scenario on containers"
# The same expectations as natively, in three containers of the lite node image, and the same rates.
if [ "$(id -u)" -eq 0 ] && docker version >/dev/null 2>&1; then
  if target/debug/dfaas-testbed run scenarios/paper/limit-in-enforced.yaml --out "$runs/containers" \
      --set defaults.dfaas.driver=docker --set defaults.dfaas.image=dfaas-node:lite &&
    ci/same-result.sh native "$runs/limit-in-enforced" containers "$runs/containers"; then
    passed=$((passed + 1))
  else
    echo "FAILED: a scenario on containers" >&2
    failed=$((failed + 1))
  fi
else
  echo "skipped: a scenario on containers needs root and a Docker engine"
  case ",${DFAAS_REQUIRE:-}," in *,docker,*) failed=$((failed + 1)) ;; esac
fi

step "whether disturbed runs are noticed"
if [ "$(id -u)" -eq 0 ]; then
  if ci/sabotage.sh 2 3; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
else
  echo "skipped: sabotage needs root"
fi

step "conformance of links"
if [ "$(id -u)" -eq 0 ]; then
  if target/debug/dfaas-conformance --backend wire; then
    passed=$((passed + 1))
  else
    echo "FAILED: conformance of the wire backend" >&2
    failed=$((failed + 1))
  fi
else
  echo "skipped: conformance needs root"
fi
if ! wait "$conformance"; then
  echo "FAILED: conformance of the tc backend" >&2
  failed=$((failed + 1))
fi
conformance=''
cat "$results.guest"

step "done"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
