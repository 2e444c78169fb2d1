#!/usr/bin/env bash
# A libvirt daemon of its own with one running domain, for the tests that reach a guest's agent through libvirt. It sees directories of its own where the machine's libvirt
# has /etc/libvirt, /var/lib/libvirt, /var/cache/libvirt, /var/log/libvirt and /run/libvirt: neither knows of the other.
#   libvirt.sh up DIRECTORY IMAGES      IMAGES: what guest-image.sh made; prints the variable that the tests read
#   libvirt.sh down DIRECTORY           ends the domain and the daemon and removes the directory
# As root, on Debian or Ubuntu; packages that are missing are installed.
set -euo pipefail

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

[[ $# -ge 2 && $1 =~ ^(up|down)$ ]] || fail "usage: libvirt.sh up DIRECTORY IMAGES | libvirt.sh down DIRECTORY"
mkdir -p "$2"
home=$(cd "$2" && pwd -P)
domain=guest
export LIBVIRT_DEFAULT_URI="qemu:///system?socket=$home/run/libvirt-sock"

# The start time tells our process from a later one of the same number.
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

if [[ $1 == down ]]; then
  if [[ -s $home/pid ]]; then
    read -r pid since <"$home/pid"
    if [[ $(started "$pid") == "$since" ]]; then
      timeout 20 virsh -q destroy "$domain" >/dev/null 2>&1 || true
      kill -TERM "$pid"
      for ((i = 0; i < 100; i++)); do
        [[ $(started "$pid") == "$since" ]] || break
        sleep 0.1
      done
    fi
  fi
  rm -rf "$home"
  exit 0
fi

images=$(cd "${3:?IMAGES}" && pwd -P)
# The socket's path has 107 bytes at most.
[[ ${#home} -le 70 ]] || fail "the path $home is too long for sockets; choose a shorter one"
mkdir -p "$home"/{etc/qemu,lib,cache,log,run}
if ! command -v libvirtd >/dev/null || ! command -v virsh >/dev/null || [[ ! -e /usr/lib/$(uname -m)-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so ]]; then
  export DEBIAN_FRONTEND=noninteractive
  # The package would start a daemon for the whole machine, which nobody asked for.
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  { apt-get update -q && apt-get install -y -q --no-install-recommends libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients; } >"$home/apt.log" 2>&1 ||
    fail "libvirt could not be installed: $(tail -n 5 "$home/apt.log")"
fi

cat >"$home/etc/libvirtd.conf" <<CONF
unix_sock_dir = "$home/run"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
log_outputs = "2:file:$home/log/libvirtd.log"
CONF
# Root's QEMU in no container of any kind: there is no systemd to ask for one.
cat >"$home/etc/qemu.conf" <<'CONF'
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
CONF
# shellcheck disable=SC2016 # for the inner shell
home=$home setsid unshare --mount --propagation private bash -c '
  set -e
  for place in etc:/etc/libvirt lib:/var/lib/libvirt cache:/var/cache/libvirt log:/var/log/libvirt run:/run/libvirt; do
    mkdir -p "${place#*:}"
    mount --bind "$home/${place%%:*}" "${place#*:}"
  done
  exec libvirtd --config /etc/libvirt/libvirtd.conf --pid-file "$home/libvirtd.pid"
' >"$home/out" 2>&1 </dev/null &
echo "$! $(started $!)" >"$home/pid"

wait_until() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "$what: $(tail -n 20 "$home/out" "$home"/log/*.log 2>/dev/null)"
    sleep 0.2
  done
}

# The first start examines the QEMU of the machine, which takes seconds.
wait_until 180 "libvirtd does not answer" timeout 60 virsh -q version

qemu-img convert -q -O qcow2 "$images/root.raw" "$home/root.qcow2"
truncate -s 32M "$home/data.raw"
mkfs.ext4 -q -F -E root_owner=0:0,lazy_itable_init=0 "$home/data.raw"
disk() { printf "<disk type='file' device='disk'><driver name='qemu' type='%s'/><source file='%s'/><target dev='%s' bus='virtio'/><serial>%s</serial></disk>" "$@"; }
cat >"$home/domain.xml" <<XML
<domain type='qemu'>
  <name>$domain</name>
  <memory unit='MiB'>192</memory>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>$images/vmlinuz</kernel>
    <initrd>$images/initrd</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 mitigations=off no_timer_check</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>$(command -v qemu-system-x86_64)</emulator>
    $(disk qcow2 "$home/root.qcow2" vda root)
    $(disk raw "$home/data.raw" vdb data0)
    <controller type='usb' model='none'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='file'><source path='$home/console.log'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
XML
virsh -q define "$home/domain.xml" >"$home/define.log" 2>&1 || fail "the domain could not be defined: $(cat "$home/define.log")"
virsh -q start "$domain" >"$home/start.log" 2>&1 || fail "the domain does not start: $(cat "$home/start.log")"
wait_until 240 "the agent of the domain does not answer" virsh -q qemu-agent-command --timeout 5 "$domain" '{"execute":"guest-ping"}'
echo "SNAPSHOTFLOW_TEST_LIBVIRT=libvirt:$LIBVIRT_DEFAULT_URI#$domain"
