#!/usr/bin/env bash
# Makes what the tests' guests boot from: Debian's kernel, an initial RAM disk, and a root file system with busybox, the real QEMU guest agent, a freeze hook and the
# witness (witness.c beside this script).
#   guest-image.sh DIRECTORY     writes vmlinuz, initrd and root.raw there, unless they are there already
# As root, on Debian; packages that are missing are installed, but kernel and agent are only unpacked.
set -euo pipefail

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

[[ $# -eq 1 ]] || fail "usage: guest-image.sh DIRECTORY"
here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
mkdir -p "$1"
out=$(cd "$1" && pwd -P)
made=$(cat "$here/guest-image.sh" "$here/witness.c" | sha256sum)
[[ $(cat "$out/made" 2>/dev/null) != "$made" ]] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$out/build.log
export DEBIAN_FRONTEND=noninteractive
{
  apt-get install -y -q --no-install-recommends qemu-system-x86 qemu-utils qemu-block-extra busybox-static e2fsprogs cpio kmod gcc libc6-dev libglib2.0-0 libudev1 liburing2 libnuma1 ||
    { apt-get update -q && apt-get install -y -q --no-install-recommends qemu-system-x86 qemu-utils qemu-block-extra busybox-static e2fsprogs cpio kmod gcc libc6-dev libglib2.0-0 libudev1 liburing2 libnuma1; }
  kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
  cd "$work"
  apt-get download -q -o APT::Sandbox::User=root "$kernel" qemu-guest-agent
  dpkg-deb -x linux-image-*.deb kernel
  dpkg-deb -x qemu-guest-agent_*.deb agent
} >"$log" 2>&1 || fail "packages could not be had; see $log"
version=$(ls "$work"/kernel/lib/modules 2>/dev/null || ls "$work"/kernel/usr/lib/modules)
[[ -d $work/kernel/lib ]] || ln -s usr/lib "$work/kernel/lib"
depmod -b "$work/kernel" "$version" 2>>"$log"

# The RAM disk: drivers, then the root disk, which is the one whose serial number says so.
mkdir -p "$work"/ram/{bin,modules,proc,sys,dev,sysroot}
cp /bin/busybox "$work/ram/bin/"
for module in virtio_pci virtio_blk virtio_console; do
  modprobe -d "$work/kernel" -S "$version" --show-depends "$module" 2>>"$log" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' >"$work/modules"
while read -r module; do
  cp "$module" "$work/ram/modules/"
  basename "$module" >>"$work/ram/modules/order"
done <"$work/modules"
cat >"$work/ram/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
while read -r module; do $b insmod /modules/$module; done < /modules/order
until [ -n "$root" ]; do
  for disk in /sys/block/vd*; do [ "$($b cat $disk/serial 2>/dev/null)" = root ] && root=/dev/${disk##*/}; done
  $b usleep 20000
done
$b mount -t ext4 $root /sysroot || $b poweroff -f
for part in proc sys dev; do $b mount -o move /$part /sysroot/$part; done
exec $b switch_root /sysroot /sbin/init
INIT
chmod 755 "$work/ram/init"
(cd "$work/ram" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"

# The root file system.
r=$work/rootfs
mkdir -p "$r"/{bin,sbin,etc/qemu,proc,sys,dev,run,tmp,data,var,usr/bin,usr/sbin,lib64}
ln -s ../run "$r/var/run"
cp /bin/busybox "$r/bin/"
for applet in $(/bin/busybox --list); do [[ -e $r/bin/$applet ]] || ln -s busybox "$r/bin/$applet"; done
cp "$work/agent/usr/sbin/qemu-ga" "$r/usr/sbin/"
ldd "$work/agent/usr/sbin/qemu-ga" >"$work/libraries"
! grep -q 'not found' "$work/libraries" || fail "a library of the guest agent is missing: $(grep 'not found' "$work/libraries")"
grep -o '/[^ ]*' "$work/libraries" | sort -u | while read -r library; do
  mkdir -p "$r${library%/*}"
  cp -L "$library" "$r$library"
done
gcc -O2 -static -Wall -Wextra -o "$r/usr/bin/witness" "$here/witness.c" 2>>"$log" || fail "witness.c does not compile; see $log"
echo 'root:x:0:0:root:/:/bin/sh' >"$r/etc/passwd"
echo 'root:x:0:' >"$r/etc/group"
cat >"$r/sbin/init" <<'INIT'
#!/bin/sh
# Mounts every disk named data… under /data and keeps the agent running. What the agent needs lies in memory: it must not write to what it freezes.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t tmpfs run /run; mount -t tmpfs tmp /tmp; mount -t tmpfs data /data
mkdir -p /run/udev/data
for disk in /sys/block/vd*; do
  name=$(cat $disk/serial)
  case $name in data*) mkdir -p /data/$name; mount -t ext4 -o noatime /dev/${disk##*/} /data/$name;; esac
done
while [ -z "$port" ]; do
  for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name 2>/dev/null)" = org.qemu.guest_agent.0 ] && port=/dev/${p##*/}; done
  usleep 50000
done
trap 'umount -a -r; poweroff -f' TERM USR2
while :; do qemu-ga -m virtio-serial -p $port -t /run -f /run/agent.pid -l /run/agent.log -F/etc/qemu/hook; sleep 1; done &
while :; do sleep 1 & wait $!; done
INIT
cat >"$r/etc/qemu/hook" <<'HOOK'
#!/bin/sh
# The agent calls this with freeze before it freezes and with thaw after it has thawed; tests say in /run what it shall do wrong.
export PATH=/bin
echo "$1" >>/run/hook.calls
[ "$1" = freeze ] || exit 0
[ ! -f /run/hook.slow ] || sleep "$(cat /run/hook.slow)"
[ ! -f /run/hook.fail ]
HOOK
chmod 755 "$r/sbin/init" "$r/etc/qemu/hook"
truncate -s $(($(du -sm "$r" | cut -f1) + 48))M "$work/root.raw"
mkfs.ext4 -q -F -L root -E root_owner=0:0,lazy_itable_init=0 -d "$r" "$work/root.raw" >>"$log" 2>&1 || fail "the root file system could not be made; see $log"
cp "$work"/kernel/boot/vmlinuz-* "$out/vmlinuz"
cp "$work/initrd" "$out/initrd"
cp --sparse=always "$work/root.raw" "$out/root.raw"
echo "$made" >"$out/made"
