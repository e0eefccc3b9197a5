#!/bin/bash
# Runs a command in a virtual machine with Debian's own kernel, which has netem and cgroup v2: for what the kernel here lacks.
#
#   ci/vm.sh [-t SECONDS] [-c] COMMAND [ARGUMENT...]
#
# The guest sees this machine's root file system read-only (over 9p), at the same paths and with the same working directory; what it
# writes to /tmp, /var/tmp, /run and /root is gone afterwards. It has no network but its own loopback. The command runs as root, with
# PATH, HOME and every DFAAS_*, RUST_* and CARGO_* variable of the caller. Its output and exit code are returned; 124 means that the
# time limit (-t, 300 s unless given) was over, 3 that this machine cannot run the guest, 125 that the guest did not come to an end.
# Everything is emulated (no /dev/kvm needed): expect a tenth of this machine's speed, and a boot of 5 to 15 s.
#
# With -c the guest's clock counts its instructions, four nanoseconds each, and jumps over the time in which it would wait: however
# busy this machine is, nothing in the guest is late. For what measures time; the guest has one processor then.
#
# `ci/vm.sh --fetch` only gets the kernel. It is kept in ${XDG_CACHE_HOME:-~/.cache}/dfaas-testbed/vm; nothing is installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dfaas-testbed/vm

# What the guest needs to start, then what the tests use. The rest of the kernel's modules is left out.
boot_modules=(virtio_pci virtio_console virtio_rng 9pnet_virtio 9p overlay)
test_modules=(veth bridge tun sch_netem sch_tbf sch_htb sch_codel sch_fq sch_prio sch_ingress cls_u32 act_mirred)

fail() { # code, message
  echo "vm: $2" >&2
  exit "$1"
}

# Debian's kernel package, unpacked, with an initial file system made of busybox and the modules above.
fetch() {
  local package version
  package=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }')
  [ -n "$package" ] || fail 3 "the package linux-image-amd64 is unknown here: run 'apt-get update' (Debian only)"
  work=$(mktemp -d "$cache/new.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  echo "vm: fetching $package" >&2
  (cd "$work" && apt-get download -qq "$package" 2>/dev/null) || fail 3 "cannot download $package"
  mkdir "$work/image"
  dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work/image" --wildcards './boot/vmlinuz-*' './lib/modules/*'
  version=$(ls "$work/image/lib/modules")
  make_initrd "$work/image/lib/modules/$version" "$version"
  mv "$work/image/boot/vmlinuz-$version" "$work/vmlinuz"
  printf '%s\n' "$version" >"$work/version"
  rm -rf "$work/image" "$work"/*.deb
  # Two that fetch at once both have a whole one; the last wins.
  rm -rf "${cache:?}/${recipe:?}"
  mv -T "$work" "$cache/$recipe" 2>/dev/null || [ -e "$cache/$recipe/vmlinuz" ]
}

make_initrd() { # directory of all modules, kernel version
  local root=$work/initrd all=$1 version=$2 busybox=$work/busybox
  busybox=$(command -v busybox)
  mkdir -p "$root"/{bin,dev,proc,sys,new,lib/modules/"$version"}
  cp "$busybox" "$root/bin/busybox"
  cp "$here/vm/init" "$root/init"
  cp "$all"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$version/" 2>/dev/null || true
  # depmod over all modules first, to know which others the wanted ones need.
  "$busybox" depmod -b "$work/image" "$version"
  local module path
  for module in "${boot_modules[@]}" "${test_modules[@]}"; do
    path=$(awk -F: -v name="/${module//_/[-_]}[.]ko" '$1 ~ name { print; exit }' "$all/modules.dep")
    [ -n "$path" ] || fail 3 "the kernel $version has no module $module"
    # "path: dependency dependency …"
    for path in ${path/:/ }; do
      mkdir -p "$root/lib/modules/$version/$(dirname "$path")"
      cp "$all/$path" "$root/lib/modules/$version/$path"
    done
  done
  "$busybox" depmod -b "$root" "$version"
  printf '%s\n' "${boot_modules[*]}" >"$root/boot-modules"
  printf '%s\n' "${test_modules[*]}" >"$root/test-modules"
  (cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initrd.gz"
  rm -rf "$root"
}

limit=300
only_fetch=
clock=(-accel "tcg,thread=multi" -smp 2)
while [ $# -gt 0 ]; do
  case $1 in
    -t) limit=${2:?-t needs a number of seconds}; shift 2 ;;
    -c) clock=(-accel "tcg,thread=single" -icount "shift=2,sleep=off" -smp 1); shift ;;
    --fetch) only_fetch=yes; shift ;;
    --) shift; break ;;
    -*) fail 2 "unknown option $1 (see the head of $0)" ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || [ -n "$only_fetch" ] || fail 2 "no command given (see the head of $0)"
[ "$(uname -m)" = x86_64 ] || fail 3 "the guest is an x86-64 machine; this one is $(uname -m)"
for program in qemu-system-x86_64 busybox apt-get dpkg-deb; do
  command -v "$program" >/dev/null || fail 3 "$program is missing; ci/setup.sh installs it"
done

# A cache with another beginning or other modules is not used.
recipe=$({ cat "$here/vm/init"; echo "${boot_modules[*]} ${test_modules[*]}"; } | sha256sum | cut -c1-16)
mkdir -p "$cache"
[ -e "$cache/$recipe/vmlinuz" ] || (fetch)
[ -z "$only_fetch" ] || exit 0

job=$(mktemp -d)
guest=
# shellcheck disable=SC2317 # the trap calls it
finish() {
  [ -z "$guest" ] || kill -KILL "$guest" 2>/dev/null || true
  rm -rf "$job"
}
trap finish EXIT
trap 'exit 130' INT TERM

# What the guest runs: this directory, these variables, this command.
mkdir "$job/share"
{
  printf 'cd %q || exit 125\n' "$PWD"
  for variable in PATH HOME $(compgen -e | grep -E '^(DFAAS|RUST|CARGO)_' || true); do
    printf 'export %s=%q\n' "$variable" "${!variable}"
  done
  printf 'exec'
  printf ' %q' "$@"
  printf '\n'
} >"$job/share/command"
cp "$here/vm/start" "$job/share/start"

mkfifo "$job/out" "$job/err"
cat "$job/out" &
readers=($!)
cat "$job/err" >&2 &
readers+=($!)
# Both directions of a fifo are opened, so that neither side waits for the other.
exec 8<>"$job/out" 9<>"$job/err"
# The kernel's look at its timers takes a busy host for a broken board.
qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
  "${clock[@]}" -cpu max -m 2048 \
  -kernel "$cache/$recipe/vmlinuz" -initrd "$cache/$recipe/initrd.gz" \
  -append "console=ttyS0 quiet panic=-1 oops=panic no_timer_check nowatchdog" \
  -serial "file:$job/console" \
  -device virtio-rng-pci \
  -device virtio-serial-pci \
  -chardev "file,id=out,path=$job/out" -device virtconsole,chardev=out,name=out \
  -chardev "file,id=err,path=$job/err" -device virtconsole,chardev=err,name=err \
  -fsdev local,id=root,path=/,security_model=none,multidevs=remap,readonly=on \
  -device virtio-9p-pci,fsdev=root,mount_tag=root \
  -fsdev local,id=job,path="$job/share",security_model=none \
  -device virtio-9p-pci,fsdev=job,mount_tag=job \
  >"$job/qemu" 2>&1 8>&- 9>&- &
guest=$!

(sleep "$limit" && kill -KILL "$guest") >/dev/null 2>&1 8>&- 9>&- &
timer=$!
ended=0
# Quietly: the shell would tell of a guest that was stopped for its time.
{ wait "$guest" || ended=$?; } 2>/dev/null
guest=
late=yes
kill "$timer" 2>/dev/null && late=
exec 8>&- 9>&-
wait "${readers[@]}"

if [ -s "$job/share/status" ]; then
  exit "$(cat "$job/share/status")"
fi
# No status: say why, with the last words of the guest.
cat "$job/qemu" >&2
tail -n 20 "$job/console" >&2 2>/dev/null || true
[ -z "$late" ] || fail 124 "no end within $limit s"
fail 125 "the guest ended without a result (qemu: $ended)"
