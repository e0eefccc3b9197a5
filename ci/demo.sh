#!/bin/bash
# The main job from nothing: installs what is missing, builds, and reproduces the result figure of the DFaaS paper.
# Arguments go to `dfaas-testbed run`, for example: ci/demo.sh --set T=60s
set -euo pipefail
cd "$(dirname "$0")/.."

ci/setup.sh
cargo build --release --quiet --bins
exec target/release/dfaas-testbed run scenarios/paper/cloudnet21-figure.yaml "$@"
