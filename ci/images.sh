#!/bin/bash
# The node image and the playbook as their users have them: what ci/test.sh has no time for. Needs root and Docker; everything
# is made of this machine's own packages. PROFILE=debug takes the programs of target/debug, which have to be there.
set -euo pipefail
cd "$(dirname "$0")/.."
export PROFILE=${PROFILE:-release}

ci/setup.sh images

step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

step "three nodes under docker compose"
ci/compose.sh
step "a node made by the playbook"
ci/ansible.sh
step "done"
