#!/bin/bash
# Writes captured.txt anew: what `tc` sends for every command in commands.txt, which the tests compare with what is encoded here.
# Run by hand where strace and iproute2 are installed, as root: unshare --net testbed/crates/netns/src/tc/capture.sh
# The kernel may refuse a command (this one may have no netem): the message has been sent by then.
set -euo pipefail
cd "$(dirname "$0")"
ip link add name ma type veth peer name mb # mb gets index 2 and ma index 3, in a new namespace
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# The bytes of the last request in a trace, without addresses and the text column.
message() {
  awk '
    / bytes in buffer 0/ { bytes = "" }
    /^ \| [0-9a-f]+  / { line = substr($0, index($0, "  ") + 2, 49); gsub(" ", "", line); bytes = bytes line }
    END { print bytes }' "$output"
}

{
  echo "# What $(tc -V | sed 's/^tc utility, //; s/,.*//') sends, each command followed by its message with the netlink header (little endian)."
  echo "# Made by capture.sh from commands.txt on Linux $(uname -r | cut -d. -f1,2)."
  while read -r command; do
    case $command in '' | '#'*) continue ;; esac
    strace -e trace=sendmsg -e write=3,4,5 -o "$output" $command >/dev/null 2>&1 || true
    bytes=$(message)
    [ ${#bytes} -gt 40 ] || { echo "nothing was sent by: $command" >&2; exit 1; }
    # Sequence number and port differ each time.
    bytes=${bytes:0:16}0000000000000000${bytes:32}
    printf '%s\n' "$command"
    printf '%s\n' "$bytes" | fold -w 128 | sed 's/^/    /'
  done <commands.txt
} >captured.txt.new
mv captured.txt.new captured.txt
