#!/bin/sh
# Loads an interface with the kernel's packet generator, one thread a CPU, each with a transmit queue
# of its own. Root, and the module pktgen, are needed; it runs in the network namespace of the caller.
#
#   pktgen.sh --interface IF --dst MAC [options]
#
#   --size BYTES     frames with tags and FCS, 64 to 9022; default 64. With one tag they have 66 at least,
#                    with two 70: pktgen's own header must be in them
#   --count N        frames of each CPU; 0: until Ctrl-C; default 1000000
#   --rate PPS       frames a second of each CPU; 0: as fast as it can; default 0
#   --cpus FIRST-LAST  or one CPU; default 0
#   --queues N       transmit queues to use from 0 on, one a CPU in turn; default: as many as CPUs
#   --vlan ID        C-tag (or the only one)
#   --svlan ID       S-tag before it
#   --flows N        source addresses in turn, for tables and RSS of what is behind; default 1
#   --burst N        frames a doorbell, for drivers that can (not veth); default 1
#   --clone N        send each frame so often (not veth); default 0
#
# The frames are UDP over IPv4 inside Ethernet: any attachment circuit takes them. A packet of L2TP
# it cannot make: the first four bytes behind UDP are pktgen's own, and read as a control message.
# For that side there are `xwire bench generate` and the files of its --write.
set -eu

dir=/proc/net/pktgen
interface='' dst='' size=64 count=1000000 rate=0 cpus=0 queues=0 vlan=0 svlan=0 flows=1 burst=1 clone=0

fail() { echo "pktgen.sh: $*" >&2; exit 2; }

while [ $# -gt 0 ]; do
  case $1 in
    --interface | --dst | --size | --count | --rate | --cpus | --queues | --vlan | --svlan | --flows | --burst | --clone)
      [ $# -ge 2 ] || fail "$1 needs a value"
      eval "${1#--}=\$2"
      shift 2 ;;
    --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) fail "what is $1? --help lists the options" ;;
  esac
done
[ -n "$interface" ] || fail "--interface is missing"
[ -n "$dst" ] || fail "--dst is missing: the MAC address of what is behind the pseudowire, or any"
for option in size count rate queues vlan svlan flows burst clone; do
  eval "value=\$$option"
  case $value in
    '' | *[!0-9]*) fail "--$option $value: must be a number" ;;
  esac
done
case $cpus in
  *[!0-9-]* | '' | -* | *- | *-*-*) fail "--cpus $cpus: must be a CPU, or the first and the last as in 2-5" ;;
esac
[ "$vlan" -le 4094 ] && [ "$svlan" -le 4094 ] || fail "--vlan and --svlan: must be up to 4094"
[ "$svlan" -eq 0 ] || [ "$vlan" -ne 0 ] || fail "--svlan $svlan: needs --vlan, the tag inside"
[ "$size" -ge 64 ] && [ "$size" -le 9022 ] || fail "--size $size: must be 64 to 9022"
[ -d /sys/class/net/"$interface" ] || fail "there is no interface $interface here"
if [ ! -d "$dir" ]; then
  modprobe pktgen 2>/dev/null || true
  [ -d "$dir" ] || fail "the kernel has no pktgen: modprobe pktgen"
fi

# say FILE COMMAND: gives a command, and tells when it was refused.
say() {
  refused=no
  echo "$2" 2>/dev/null >"$dir/$1" || refused=yes
  answer=$(sed -n 's/^Result: //p' "$dir/$1")
  case $refused$answer in
    no | noOK*) ;;
    *) fail "$dir/$1: $2: refused; it says: $answer" ;;
  esac
}

first=${cpus%-*} last=${cpus#*-}
[ "$first" -le "$last" ] || fail "--cpus $cpus: the first comes first"
n=$((last - first + 1))
[ "$queues" -gt 0 ] || queues=$n

echo reset >$dir/pgctrl
trap 'echo reset >'$dir'/pgctrl' EXIT INT TERM
cpu=$first
while [ "$cpu" -le "$last" ]; do
  [ -e $dir/kpktgend_"$cpu" ] || fail "CPU $cpu has no thread of pktgen"
  device=$interface@$cpu queue=$(((cpu - first) % queues))
  say kpktgend_"$cpu" "add_device $device"
  say "$device" "count $count"
  say "$device" "pkt_size $((size - 4))" # with tags, without FCS
  # A frame that pktgen keeps a hand on brings down drivers that write into it, l2tpeth's above all.
  # Kernels before 6.5 know no other way: there, load such a driver through a bridge.
  if [ "$clone" -eq 0 ] && [ "$burst" -eq 1 ]; then
    echo "flag !SHARED" 2>/dev/null >"$dir/$device" || echo "pktgen.sh: this kernel's pktgen shares frames: not for l2tpethN" >&2
  fi
  say "$device" "clone_skb $clone"
  say "$device" "burst $burst"
  say "$device" "delay 0"
  [ "$rate" -eq 0 ] || say "$device" "ratep $rate"
  say "$device" "dst_mac $dst"
  say "$device" "src_mac_count $flows"
  say "$device" "src_min 10.255.$cpu.1"
  say "$device" "dst_min 10.255.255.1"
  say "$device" "queue_map_min $queue"
  say "$device" "queue_map_max $queue"
  if [ "$vlan" -ne 0 ]; then
    say "$device" "vlan_id $vlan"
    [ "$svlan" -eq 0 ] || say "$device" "svlan_id $svlan"
  fi
  cpu=$((cpu + 1))
done

echo start >$dir/pgctrl # returns when all have sent, or at Ctrl-C
cpu=$first
while [ "$cpu" -le "$last" ]; do
  printf 'cpu %s size %s ' "$cpu" "$size"
  sed -n 's/^ *\(pkts-sofar: [0-9]*\).*/\1 /p; s/^ *\([0-9]*pps\).*/\1/p; s/.*\(errors: [0-9]*\).*/\1/p' "$dir/$interface@$cpu" | tr '\n' ' '
  echo
  cpu=$((cpu + 1))
done
