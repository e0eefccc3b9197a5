#!/bin/bash
# Every fuzz target under libFuzzer, over the kept corpus and what grows out of it: ci/fuzz.sh [SECONDS each, default 60] [TARGET...]
# What is found is in fuzz/artifacts/TARGET; a bug that is fixed leaves its input in fuzz/corpus/TARGET, where ordinary tests run it.
#
# Needs a C++ compiler for libFuzzer, and no nightly toolchain: the flags are cargo-fuzz's, without the address sanitizer, which
# would need one and has nothing to find in code without `unsafe`.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${1:-60}
shift || true
if ! command -v c++ >/dev/null; then
  echo "no C++ compiler: install g++" >&2
  exit 3
fi
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for file in fuzz_targets/*.rs; do
    targets+=("$(basename "$file" .rs)")
  done
fi

coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
host=$(rustc -vV | sed -n 's/^host: //p')
# With a target named, build scripts and macros are built without coverage.
RUSTFLAGS="$coverage --cfg fuzzing -Copt-level=1" \
  cargo build --quiet --target "$host" "${targets[@]/#/--bin=}"

for target in "${targets[@]}"; do
  mkdir -p "artifacts/$target" "target/corpus/$target"
  echo "$target for $seconds s"
  # New inputs go to the first directory.
  "${CARGO_TARGET_DIR:-target}/$host/debug/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="artifacts/$target/" "target/corpus/$target" "corpus/$target" 2>"target/$target.log" || {
    tail -30 "target/$target.log" >&2
    exit 1
  }
  grep -E 'number_of_executed_units|new_units_added|slowest_unit' "target/$target.log"
done
