#!/bin/bash
# What is checked without running anything: format, lints, documentation, licences, and which crate may know which.
set -euo pipefail
cd "$(dirname "$0")/.."

ci/setup.sh
cargo fmt --all --check
if command -v go >/dev/null; then gofmt -d ci/interop | (! grep .); fi
ci/boundaries.sh
cargo clippy --quiet --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps
if command -v cargo-deny >/dev/null; then cargo deny --log-level error check licenses bans sources; fi
