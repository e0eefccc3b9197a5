#!/bin/bash
# What is checked without running anything: format, lints, documentation, licences, scripts, images, and which crate may know
# which.
set -euo pipefail
cd "$(dirname "$0")/.."

ci/setup.sh lint
cargo fmt --all --check
if command -v go >/dev/null; then gofmt -d ci/interop | (! grep .); fi
ci/boundaries.sh
shellcheck ci/*.sh .ci/run ci/vm/start images/node/*/usr/local/bin/*
shellcheck --shell=dash ci/vm/init # busybox's
ci/lint-images.sh
cargo clippy --quiet --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps
if command -v cargo-deny >/dev/null; then cargo deny --log-level error check licenses bans sources; fi
