#!/usr/bin/env bash
# Makes a session's local interface a port of an Open vSwitch bridge (its userspace datapath, so that
# no kernel module is needed) and pings through both. Root, xwire and Open vSwitch in PATH:
#
#   site 10.0.0.1 -- ac0 [xwire near] core0 ==== core0 [xwire far] pw0 -- bridge ovs0 -- 10.0.0.2
#
# All of it is in network namespaces that are removed at the end.
set -euo pipefail
id=xwovs$$
work=$(mktemp -d)
pids=()
cleanup() {
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
  for p in "${pids[@]}"; do wait "$p" 2>/dev/null || true; done
  for n in site near far host; do ip netns del "$id-$n" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
at() { local n=$1; shift; ip netns exec "$id-$n" "$@"; }
# bg NAMESPACE LOG COMMAND: in the background, ended by cleanup.
bg() { local n=$1 log=$2; shift 2; ip netns exec "$id-$n" "$@" >"$work/$log" 2>&1 & pids+=($!); }
say() { echo "+ $*"; "$@"; }

for n in site near far host; do ip netns add "$id-$n"; at $n ip link set lo up; done
link() { ip link add "$2" netns "$id-$1" type veth peer name "$4" netns "$id-$3"; at "$1" ip link set "$2" up; at "$3" ip link set "$4" up; }
link site s0 near ac0
link near core0 far core0
link far h0 host s0
at near ip addr add 192.0.2.1/24 dev core0
at far ip addr add 192.0.2.2/24 dev core0
at site ip addr add 10.0.0.1/24 dev s0
at host ip addr add 10.0.0.2/24 dev s0

config() {
  printf '[appliance]\ncontrol = "%s"\n[port.core0]\ninterface = "core0"\n' "$work/$1.sock"
  printf '[tunnel.t]\nlocal = "192.0.2.%s"\npeer = "192.0.2.%s"\ntid = 1\nptid = 1\n[tunnel.t.session.s]\nsid = 1\npsid = 1\nl2spec_type = "default"\n%s\n' "$2" "$3" "$4"
}
config near 1 2 'attach = "ac0"
vlan = "all"
[port.ac0]
interface = "ac0"' >"$work/near.toml"
config far 2 1 'interface_name = "pw0"' >"$work/far.toml"
for n in near far; do
  bg $n $n.log xwire run --config "$work/$n.toml"
done
for _ in $(seq 100); do at far ip link show pw0 >/dev/null 2>&1 && break; sleep 0.1; done

ovsdb-tool create "$work/conf.db" "$(dirname "$(command -v ovsdb-server)")/../share/openvswitch/vswitch.ovsschema"
export OVS_RUNDIR=$work OVS_LOGDIR=$work OVS_DBDIR=$work
bg far db.log ovsdb-server "$work/conf.db" --remote="punix:$work/db.sock" --pidfile="$work/db.pid"
sleep 1
ovs-vsctl --db="unix:$work/db.sock" --no-wait init
bg far switch.log ovs-vswitchd "unix:$work/db.sock" --pidfile="$work/switch.pid"
say xwire version
say ovs-vsctl --version
say uname -r
say ovs-vsctl --db="unix:$work/db.sock" --timeout=20 add-br ovs0 -- set bridge ovs0 datapath_type=netdev \
  -- add-port ovs0 pw0 -- add-port ovs0 h0
at far ip link set pw0 up
say ovs-vsctl --db="unix:$work/db.sock" show
say at site ping -c 3 -i 0.3 -W 2 10.0.0.2
say at host ping -c 3 -i 0.3 -W 2 -s 1400 10.0.0.1
say ovs-appctl -t "$work/ovs-vswitchd.$(cat "$work/switch.pid").ctl" fdb/show ovs0
say xwire show sessions --control "$work/far.sock"
