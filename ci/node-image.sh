#!/bin/bash
# Builds dfaas-node:lite from this tree. Needs Docker, and a network only if the base image lacks packages.
#
#   PROFILE=debug          programs of target/debug instead of target/release
#   BASE=IMAGE             another base image than debian:12-slim; `made`: made here, from the packages this machine installs from
#   PACKAGES="…"           which packages the image must have: haproxy, and what functions are made of
#   DEBIAN_MIRROR=URL      where they come from
set -euo pipefail
cd "$(dirname "$0")/.."
packages=${PACKAGES:-haproxy figlet tesseract-ocr}
# Other packages are another base.
made=dfaas-testbed-tests/node-base:$(cksum <<<"$packages" | cut -d' ' -f1)
profile=${PROFILE:-release}
case $profile in
  release) cargo build --release --quiet --bins ;;
  debug) ;; # of the tests, which have built it
  *) echo "PROFILE is release or debug" >&2; exit 2 ;;
esac

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
if [ "${BASE:-}" = made ] && ! docker image inspect "$made" >/dev/null 2>&1; then
  # shellcheck disable=SC2086 # a list
  ci/base-image.sh $packages | docker import - "$made" >/dev/null
fi

mkdir "$context/programs"
for program in dfaas-agent dfaas-faas dfaas-init; do
  # Debug information would make up most of the image.
  strip -o "$context/programs/$program" "target/$profile/$program"
done
cp -r images/node "$context/node"
arguments=(--build-arg "PACKAGES=$packages")
case ${BASE:-} in
  '') ;;
  made) arguments+=(--build-arg "BASE=$made") ;;
  *) arguments+=(--build-arg "BASE=$BASE") ;;
esac
if [ -n "${DEBIAN_MIRROR:-}" ]; then arguments+=(--build-arg "DEBIAN_MIRROR=$DEBIAN_MIRROR"); fi
DOCKER_BUILDKIT=0 docker build --quiet --target lite --tag dfaas-node:lite \
  "${arguments[@]}" "$@" --file "$context/node/Dockerfile" "$context"
