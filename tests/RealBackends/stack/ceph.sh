#!/usr/bin/env bash
# A Ceph cluster of one machine for the tests: monitor and OSD on 127.0.0.1, a pool "volumes", a user with no more rights than the driver needs.
#   ceph.sh up DIRECTORY      prints the variables that the tests read
#   ceph.sh down DIRECTORY    ends the processes that up started and removes the directory
# As root, on Debian or Ubuntu; packages that are missing are installed.
set -euo pipefail

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

[[ $# -eq 2 && $1 =~ ^(up|down)$ ]] || fail "usage: ceph.sh up|down DIRECTORY"
mkdir -p "$2"
home=$(cd "$2" && pwd -P)
conf=$home/ceph.conf
export CEPH_CONF=$conf

# The start time tells our process from a later one of the same number.
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

stop() {
  local pid since
  [[ -s $home/$1.pid ]] || return 0
  read -r pid since <"$home/$1.pid"
  if [[ $(started "$pid") == "$since" ]]; then
    kill -KILL "$pid"
  fi
  rm -f "$home/$1.pid"
}

start() {
  local name=$1
  shift
  setsid "$@" >"$home/$name.log" 2>&1 </dev/null &
  echo "$! $(started $!)" >"$home/$name.pid"
}

# wait_until SECONDS WHAT COMMAND…
wait_until() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "$what; see $home/*.log"
    sleep 0.2
  done
}

if [[ $1 == down ]]; then
  stop osd
  stop mon
  rm -rf "$home"
  exit 0
fi

if ! command -v ceph-osd >/dev/null || ! command -v ceph-mon >/dev/null || ! command -v rbd >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -y -q --no-install-recommends ceph-mon ceph-osd ceph-common; } >"$home/apt.log" 2>&1 || fail "Ceph could not be installed; see $home/apt.log"
fi

port=13500
while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 100)); done
fsid=$(</proc/sys/kernel/random/uuid)
mkdir -p "$home"/{mon,osd}
cat >"$conf" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$port/0]
public addr = 127.0.0.1
ms bind msgr1 = false
ms bind ipv6 = false
ms bind port min = $((port + 1))
ms bind port max = $((port + 99))
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = $home/keyring
run dir = $home
admin socket = $home/\$name.asok
log file = $home/\$name.daemon.log
# One copy on one disk: nothing here is to last.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 16
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon osd full ratio = 0.97
mon osd nearfull ratio = 0.95
mon osd backfillfull ratio = 0.96
mon data avail crit = 1
[client]
admin socket =
log file =
[mon]
mon data = $home/mon
mon initial members = a
# Every snapshot waits for a proposal of the monitors, Ceph's default for which is one a second.
paxos propose interval = 0.05
[osd]
osd data = $home/osd
osd objectstore = bluestore
bluestore block create = true
bluestore block size = $((12 << 30))
osd memory target = 939524096
osd class update on start = false
CONF

ring=$home/keyring
profile='profile rbd pool=volumes'
ceph-authtool -C "$ring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
ceph-authtool "$ring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
ceph-authtool "$ring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' >/dev/null
ceph-authtool "$ring" --gen-key -n client.snapshotflow --cap mon 'profile rbd' --cap osd "$profile" >/dev/null
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$port]" "$home/monmap" >/dev/null
ceph-mon --mkfs -i a --monmap "$home/monmap" --keyring "$ring" >"$home/mkfs.log" 2>&1 || fail "the monitor's store could not be made; see $home/mkfs.log"
start mon ceph-mon -f -i a
wait_until 60 "the monitor does not answer" timeout 20 ceph --connect-timeout 5 -s

disk=$(</proc/sys/kernel/random/uuid)
timeout 30 ceph osd new "$disk" >/dev/null
ceph-osd --mkfs -i 0 --osd-uuid "$disk" >>"$home/mkfs.log" 2>&1 || fail "the OSD's store could not be made; see $home/mkfs.log"
timeout 30 ceph auth import -i "$ring" >/dev/null 2>&1
start osd ceph-osd -f -i 0
wait_until 60 "the OSD does not come up" bash -c 'timeout 20 ceph osd stat -f json | grep -q "\"num_up_osds\":1"'
timeout 60 ceph osd pool create volumes 16 16 replicated >/dev/null 2>&1
timeout 60 ceph osd pool set volumes size 1 --yes-i-really-mean-it >/dev/null 2>&1 || true
timeout 60 rbd pool init volumes

cat <<ENV
SNAPSHOTFLOW_TEST_CEPH_CONF=$conf
SNAPSHOTFLOW_TEST_CEPH_POOL=volumes
SNAPSHOTFLOW_TEST_CEPH_USER=snapshotflow
SNAPSHOTFLOW_TEST_CEPH_HOME=$home
ENV
