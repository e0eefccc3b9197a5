#!/bin/bash
# Prints a small Debian as a tar archive for `docker import`: copies of this machine's own files of the packages named and of
# all that these need. So nothing is downloaded, and it takes seconds where mmdebstrap takes a minute. Debian and Ubuntu only.
#
#   ci/base-image.sh PACKAGE...
set -euo pipefail

# Every package asks for its dependencies; of alternatives the one that is installed here.
declare -A wanted=()
waiting=(base-files base-passwd bash coreutils dash dpkg libc-bin perl-base sed tar "$@")
while [ ${#waiting[@]} -gt 0 ]; do
  package=${waiting[-1]}
  unset 'waiting[-1]'
  [ -z "${wanted[$package]:-}" ] || continue
  depends=$(dpkg-query -W -f '${db:Status-Status},${Pre-Depends},${Depends}\n' "$package" 2>/dev/null | head -1) || true
  [[ $depends == installed,* ]] || continue
  wanted[$package]=1
  mapfile -t -O ${#waiting[@]} waiting < <(tr ',|' '\n' <<<"${depends#installed,}" | awk 'NF { sub(/:.*/, "", $1); print $1 }')
done
for package in "$@"; do
  [ -n "${wanted[$package]:-}" ] || { echo "$package is not installed here: run ci/setup.sh" >&2; exit 3; }
done

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{dev,etc,proc,run,sys,tmp,usr/bin,usr/sbin,usr/lib,usr/lib64,usr/local/bin,var/lib/dpkg}
chmod 1777 "$root/tmp"
for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$root/$directory"; done
{
  dpkg-query -L "${!wanted[@]}" | sed -E 's#^/(bin|sbin|lib|lib64)/#/usr/\1/#' |
    grep -Ev '^/usr/share/(doc|man|locale|info|lintian|bug)/|^/\.?$|^package diverts|^diverted by'
  # Names that are chosen among packages, as /usr/bin/figlet.
  find /etc/alternatives -type l
  find /usr/bin /usr/sbin -type l -lname '/etc/alternatives/*'
  printf '%s\n' /etc/passwd /etc/group /etc/ld.so.cache /usr/bin/sh
} | sort -u | while IFS= read -r path; do
  if [ -L "$path" ] || [ -f "$path" ]; then printf '%s\0' "${path#/}"; fi
done | tar -C / --null --files-from=- --create --file=- | tar -C "$root" --extract --file=-
dpkg-query -s "${!wanted[@]}" >"$root/var/lib/dpkg/status"
tar -C "$root" --numeric-owner -c .
