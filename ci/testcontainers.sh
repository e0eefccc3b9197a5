#!/bin/bash
# Builds dfaas-node:lite from this machine's own packages and has the tests of ci/testcontainers use it through the crate
# testcontainers. Needs root, Docker and crates.io: its dependencies take some minutes to build for the first time.
#
#   PROFILE=debug   programs of target/debug instead of target/release
set -euo pipefail
cd "$(dirname "$0")/.."

ci/docker.sh
BASE=made ci/node-image.sh >/dev/null
CARGO_TARGET_DIR=$PWD/target cargo test --quiet --manifest-path ci/testcontainers/Cargo.toml
