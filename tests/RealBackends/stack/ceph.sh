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

# The seconds that are left to bring the cluster up; at least one.
left() { echo $((limit > SECONDS ? limit - SECONDS : 1)); }

# ask COMMAND…: once; why it failed is the reason why there is no cluster.
ask() { timeout "$(left)" "$@" >"$home/asked.log" 2>&1 || fail "the cluster does not take \"$*\": $(tail -n 1 "$home/asked.log")"; }

# wait_for DAEMON COMMAND…: until the command succeeds.
wait_for() {
  local daemon=$1
  shift
  until timeout "$(left)" "$@" >"$home/asked.log" 2>&1; do
    ((SECONDS < limit)) || fail "the $daemon was not up in time: $(tail -n 1 "$home/$daemon.log") $(tail -n 1 "$home/asked.log")"
    sleep 0.2
  done
}

if [[ $1 == down ]]; then
  stop osd
  stop mon
  rm -rf "$home"
  exit 0
fi

# Fetching packages can take for ever and may be broken off; installing them may not.
limit=$((SECONDS + 150))
packages=(ceph-mon ceph-osd ceph-common)
there() { command -v ceph-mon && command -v ceph-osd && command -v rbd; }
fetch() { timeout "$(left)" apt-get -q -o Acquire::Retries=0 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 -o DPkg::Lock::Timeout=20 "$@"; }
if ! there >/dev/null; then
  command -v apt-get >/dev/null || fail "Ceph is not installed (ceph-mon, ceph-osd, rbd), and there is no apt-get to install it with"
  export DEBIAN_FRONTEND=noninteractive
  { fetch update && fetch install -y --no-install-recommends --download-only "${packages[@]}" &&
    apt-get install -y -q --no-install-recommends --no-download -o DPkg::Lock::Timeout=20 "${packages[@]}" && there; } >"$home/apt.log" 2>&1 ||
    fail "Ceph could not be installed: $(tail -n 3 "$home/apt.log" | tr '\n' ' ')"
fi

# Seconds to come up, of which it needs 6 to 15.
limit=$((SECONDS + 90))
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
# A cut of an image that QEMU has open is QEMU's to make, and the guest cannot write meanwhile, which a thaw has to: it must not wait for ever for a monitor that hangs.
rados mon op timeout = 5
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
ceph-mon --mkfs -i a --monmap "$home/monmap" --keyring "$ring" >"$home/mkfs.log" 2>&1 || fail "the monitor's store could not be made: $(tail -n 1 "$home/mkfs.log")"
start mon ceph-mon -f -i a
wait_for mon ceph --connect-timeout 5 -s

disk=$(</proc/sys/kernel/random/uuid)
ask ceph osd new "$disk"
ceph-osd --mkfs -i 0 --osd-uuid "$disk" >>"$home/mkfs.log" 2>&1 || fail "the OSD's store could not be made: $(tail -n 1 "$home/mkfs.log")"
ask ceph auth import -i "$ring"
start osd ceph-osd -f -i 0
wait_for osd bash -c 'ceph osd stat -f json | grep -q "\"num_up_osds\":1"'
ask ceph osd pool create volumes 16 16 replicated
ask ceph osd pool set volumes size 1 --yes-i-really-mean-it
ask rbd pool init volumes
# One that is up and cannot cut is none.
ask rbd --id snapshotflow create --size 8M volumes/first
ask rbd --id snapshotflow snap create --no-progress volumes/first@cut
ask rbd --id snapshotflow snap rm --no-progress volumes/first@cut
ask rbd --id snapshotflow rm --no-progress volumes/first

cat <<ENV
SNAPSHOTFLOW_TEST_CEPH_CONF=$conf
SNAPSHOTFLOW_TEST_CEPH_POOL=volumes
SNAPSHOTFLOW_TEST_CEPH_USER=snapshotflow
SNAPSHOTFLOW_TEST_CEPH_HOME=$home
ENV
